# frozen_string_literal: true

require_relative "../serving/body"
require_relative "../serving/broken_off"
require_relative "../serving/byte_ranges"
require_relative "../serving/conditions"
require_relative "../serving/connections"
require_relative "../serving/cross_origin"
require_relative "../serving/file_headers"
require_relative "../serving/handing_over"
require_relative "../serving/large_reads"
require_relative "../serving/request_place"
require_relative "../serving/private_proxy"
require_relative "../serving/proxied_blob"
require_relative "../serving/proxied_file"
require_relative "../serving/refusals"
require_relative "../serving/token"

module EncryptedS3Service
  # Hooks for links and direct uploads.
  class Engine
    # Status of errors that are not bugs of the application, also on Rails' own routes.
    initializer "encrypted_s3_service.refusals", before: "action_dispatch.configure" do |app|
      next unless app.config.respond_to?(:action_dispatch)

      app.config.action_dispatch.rescue_responses.update(
        "EncryptedS3Service::KeyDestroyedError" => :gone, "EncryptedS3Service::ArchivedError" => :conflict,
        "EncryptedS3Service::CertificateError" => :service_unavailable,
        "EncryptedS3Service::KeyDisabledError" => :service_unavailable
      )
    end

    # Runs last, because a middleware of the application may set the path prefix.
    initializer "encrypted_s3_service.request_place", after: :load_config_initializers do |app|
      app.middleware.use Serving::RequestPlace if Engine.active_storage?
    end

    # The default lifetime of links is recognized as the object that Active Storage passes (Serving::Urls). A number
    # would be the same object as one that the application passes explicitly.
    initializer "encrypted_s3_service.default_lifetime", after: "active_storage.configs" do
      next unless Engine.active_storage?

      config.after_initialize do
        default = ActiveStorage.service_urls_expire_in
        ActiveStorage.service_urls_expire_in = default.seconds if default.is_a?(Integer)
      end
    end

    # Runs whenever Rails' classes are loaded, which happens again after reloading, and does not load them itself.
    initializer "encrypted_s3_service.rails_routes" do
      loader = Rails.autoloaders.main
      Serving::PrivateProxy.prepends.each do |name, addition|
        loader.on_load(name) { |loaded, _path| loaded.prepend(addition) }
      end
      Serving::CrossOrigin::RAILS_CONTROLLERS.each do |name|
        loader.on_load(name) { |loaded, _path| loaded.include(Serving::CrossOrigin::Answers) }
      end
    end

    initializer "encrypted_s3_service.streamed_files" do
      ActiveSupport.on_load(:action_controller) do
        ActionController::Live::ClassMethods.prepend(Serving::PrivateProxy::Streamed)
      end
    end

    initializer "encrypted_s3_service.announcements" do
      ActiveSupport.on_load(:active_storage_blob) do
        singleton_class.prepend(DirectUploads::Announcement::Creation)
        validate(on: :create) { |blob| DirectUploads::Announcement.validate(blob) }
      end
    end
  end
end
