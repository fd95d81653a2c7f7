# frozen_string_literal: true

# Has the role of an ApplicationController.
class TenantController < ActionController::Base
  include FindsOrganisation
  include EncryptedS3Service::Controller
end
