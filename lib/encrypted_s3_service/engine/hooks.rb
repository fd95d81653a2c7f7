# frozen_string_literal: true

require_relative "../tenancy/service_switch"

module EncryptedS3Service
  # How the choice of a service gets into Rails.
  class Engine
    initializer "encrypted_s3_service.service_switch" do |app|
      ActiveSupport.on_load(:active_storage_blob) { singleton_class.prepend ServiceSwitch }
      app.executor.register_hook(ServiceSwitch::ExecutorHook)
    end

    initializer "encrypted_s3_service.attachments", after: "active_storage.reflection" do
      ActiveSupport.on_load(:active_record) do
        ActiveRecord::Reflection.singleton_class.prepend(AttachmentValidator::Declarations)
      end
    end

    initializer "encrypted_s3_service.direct_uploads" do
      ActiveSupport.on_load(:action_view) { include DirectUploads::FormHelper }
    end

    # After every reload of the application's classes, with which Rails' controllers are loaded anew.
    config.to_prepare do
      Controller.include_in(EncryptedS3Service.settings.active_storage_concerns)
      DirectUploads::Controller.install
    end
  end
end
