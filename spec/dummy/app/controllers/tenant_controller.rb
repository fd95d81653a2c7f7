# frozen_string_literal: true

# What an ApplicationController is elsewhere.
class TenantController < ActionController::Base
  include FindsOrganisation
  include EncryptedS3Service::Controller
end
