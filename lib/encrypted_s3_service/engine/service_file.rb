# frozen_string_literal: true

require_relative "../errors"

module EncryptedS3Service
  class Engine
    # Checks that `service: EncryptedS3` means this gem's service. Active Storage loads the first file of that name on
    # the load path. A file in the application's `lib`, as in published recipes, or in another gem would silently
    # replace this gem's service and encrypt differently.
    # @api private
    module ServiceFile
      # The feature that Active Storage requires (ActiveStorage::Service::Configurator#resolve).
      FEATURE = "active_storage/service/encrypted_s3_service"
      # This gem's file.
      PATH = File.expand_path("../../#{FEATURE}.rb", __dir__)

      class << self
        # @return [void]
        # @raise [ConfigurationError] when another file is or would be loaded
        def check
          other = [on_load_path, autoloaded, defined_in].compact.find { |path| !ours?(path) }
          return unless other

          raise ConfigurationError,
                "`service: EncryptedS3` is not the service of the gem encrypted_s3_service, because #{shown(other)} " \
                "replaces it. Delete or rename that file, or remove its gem from the Gemfile."
        end

        private

        def on_load_path = $LOAD_PATH.resolve_feature_path(FEATURE)&.last

        # The file that Zeitwerk would load, if there is one in an autoloaded folder of the application.
        def autoloaded
          ::ActiveStorage::Service.autoload?(:EncryptedS3Service) if defined?(::ActiveStorage::Service)
        end

        # The file that defined the constant, if it is loaded.
        def defined_in
          return if autoloaded || !defined?(::ActiveStorage::Service::EncryptedS3Service)

          ::ActiveStorage::Service.const_source_location(:EncryptedS3Service)&.first
        end

        # The same file can have several paths when folders are symbolic links, as in many deployments.
        def ours?(path) = path == PATH || !File.file?(path) || File.identical?(path, PATH)

        def shown(path) = path.delete_prefix("#{::Rails.root}/")
      end
    end
  end
end
