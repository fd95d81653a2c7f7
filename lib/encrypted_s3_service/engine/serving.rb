# frozen_string_literal: true

require_relative "../serving/body"
require_relative "../serving/byte_ranges"
require_relative "../serving/conditions"
require_relative "../serving/connections"
require_relative "../serving/cross_origin"
require_relative "../serving/file_headers"
require_relative "../serving/handing_over"
require_relative "../serving/large_reads"
require_relative "../serving/request_place"
require_relative "../serving/private_proxy"
require_relative "../serving/refusals"
require_relative "../serving/token"

module EncryptedS3Service
  # How links and direct uploads get into Rails.
  class Engine
    # What is no defect of the application, on Rails' own routes as well.
    initializer "encrypted_s3_service.refusals", before: "action_dispatch.configure" do |app|
      next unless app.config.respond_to?(:action_dispatch)

      app.config.action_dispatch.rescue_responses.update(
        "EncryptedS3Service::KeyDestroyedError" => :gone, "EncryptedS3Service::ArchivedError" => :conflict,
        "EncryptedS3Service::CertificateError" => :service_unavailable
      )
    end

    # Last of all: a middleware of the application may be what finds the path's prefix.
    initializer "encrypted_s3_service.request_place", after: :load_config_initializers do |app|
      app.middleware.use Serving::RequestPlace if Engine.active_storage?
    end

    # Whenever they are loaded, which with reloading is more than once; nothing is loaded for it.
    initializer "encrypted_s3_service.rails_routes" do
      loader = Rails.autoloaders.main
      Serving::PrivateProxy.prepends.each do |name, addition|
        loader.on_load(name) { |loaded, _path| loaded.prepend(addition) }
      end
      Serving::CrossOrigin::RAILS_CONTROLLERS.each do |name|
        loader.on_load(name) { |loaded, _path| loaded.include(Serving::CrossOrigin::Answers) }
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
