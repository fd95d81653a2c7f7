# frozen_string_literal: true

Rails.application.configure do
  # Where the application stores the customer of the request.
  config.encrypted_s3_service.current_tenant = "Current.organisation"
  # Active Storage's controllers do not inherit from ApplicationController. They include the same concern.
  config.encrypted_s3_service.active_storage_concerns = "FindsOrganisation"
end
