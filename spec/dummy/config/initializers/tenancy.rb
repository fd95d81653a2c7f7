# frozen_string_literal: true

Rails.application.configure do
  config.encrypted_s3_service.current_tenant = "Current.organisation"
  config.encrypted_s3_service.active_storage_concerns = "FindsOrganisation"
end
