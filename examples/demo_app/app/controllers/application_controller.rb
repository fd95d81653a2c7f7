# frozen_string_literal: true

# What all controllers have in common.
class ApplicationController < ActionController::Base
  include FindsOrganisation
  # After what finds the organisation, whose service each action then runs with.
  include EncryptedS3Service::Controller
end
