# frozen_string_literal: true

require_relative "../tenancy/service_switch"

module EncryptedS3Service
  # Hooks that choose the service of new files.
  class Engine
    initializer "encrypted_s3_service.service_switch" do |app|
      ActiveSupport.on_load(:active_storage_blob) do
        singleton_class.prepend ServiceSwitch
        MirrorJobs.install
        BlobCopies.install
      end
      ActiveSupport.on_load(:active_storage_attachment) { AttachmentRows.install }
      ActiveSupport.on_load(:action_text_rich_text) { include RichTextEmbeds }
      app.executor.register_hook(ServiceSwitch::ExecutorHook)
    end

    # Runs after the initializer of Rails, so that this gem's `perform_all_later` is called before Rails', which may
    # defer the jobs.
    initializer "encrypted_s3_service.carried_tenant", after: "active_job.enqueue_after_transaction_commit" do
      ActiveSupport.on_load(:active_job) do
        include CarriedTenant
        ActiveSupport.on_load(:active_record) { ActiveJob.singleton_class.prepend(CarriedTenant::InBulk) }
      end
      ActiveSupport.on_load(:action_controller) { ActionController::Live.prepend(LiveStreams) }
    end

    initializer "encrypted_s3_service.attachments", after: "active_storage.reflection" do
      ActiveSupport.on_load(:active_record) do
        next unless Engine.active_storage?

        ActiveRecord::Reflection.singleton_class.prepend(AttachmentValidator::Declarations)
        ActiveStorage::Attached::Model::ClassMethods.prepend(BlobCopies::Declarations)
      end
    end

    initializer "encrypted_s3_service.direct_uploads" do
      ActiveSupport.on_load(:action_view) { include DirectUploads::FormHelper if Engine.active_storage? }
    end

    # Must run before the helper is included, because a later prepend does not reach modules that already include it.
    initializer "encrypted_s3_service.rich_text", after: :set_autoload_paths, before: "action_text.helper" do
      next unless defined?(::ActionText::Engine)

      Rails.autoloaders.once.on_load("ActionText::TagHelper") do |helper|
        helper.prepend(DirectUploads::RichTextHelper.for(helper))
      end
    end

    # Runs whenever Rails' controllers are loaded, and not earlier: their parent class is configured only at the end of
    # the boot (`config.active_storage.base_controller_parent`), and tasks need no controllers.
    initializer "encrypted_s3_service.active_storage_controllers" do
      loader = Rails.autoloaders.main
      loader.on_load("ActiveStorage::BaseController") do |controller|
        Controller.include_in(EncryptedS3Service.settings.active_storage_concerns, controller)
      end
      loader.on_load("ActiveStorage::DirectUploadsController") do |controller|
        DirectUploads::Controller.install(controller)
      end
    end
  end
end
