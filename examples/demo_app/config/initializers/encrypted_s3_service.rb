# frozen_string_literal: true

Rails.application.configure do
  # Where the application keeps whose request it is.
  config.encrypted_s3_service.current_tenant = "Current.organisation"
  # Active Storage's own controllers do not inherit from ApplicationController. They find it by the same concern.
  config.encrypted_s3_service.active_storage_concerns = "FindsOrganisation"
end
