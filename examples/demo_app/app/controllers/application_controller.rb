# frozen_string_literal: true

# Superclass of all controllers.
class ApplicationController < ActionController::Base
  include FindsOrganisation
  # After FindsOrganisation, because each action runs with the service of the organisation.
  include EncryptedS3Service::Controller
end
