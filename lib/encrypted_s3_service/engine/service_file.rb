# frozen_string_literal: true

require_relative "../errors"

module EncryptedS3Service
  class Engine
    # Makes sure that `service: EncryptedS3` means this gem's service. Active Storage loads whatever file of that name
    # comes first on the load path: one in the application's `lib`, where published recipes put theirs, or another
    # gem's. It would take over without a word, and not encrypt as this gem does.
    # @api private
    module ServiceFile
      # What Active Storage requires (ActiveStorage::Service::Configurator#resolve).
      FEATURE = "active_storage/service/encrypted_s3_service"
      # This gem's file.
      PATH = File.expand_path("../../#{FEATURE}.rb", __dir__)

      class << self
        # @return [void]
        # @raise [ConfigurationError] when another file would be loaded, or has been
        def check
          other = [on_load_path, autoloaded, defined_in].compact.find { |path| !ours?(path) }
          return unless other

          raise ConfigurationError,
                "`service: EncryptedS3` would not be the service of the gem encrypted_s3_service: #{shown(other)} " \
                "takes its place. Delete or rename that file, or remove the gem that it belongs to from the Gemfile."
        end

        private

        def on_load_path = $LOAD_PATH.resolve_feature_path(FEATURE)&.last

        # What Zeitwerk would load for the constant, where the file is in a folder of the application that it manages.
        def autoloaded
          ::ActiveStorage::Service.autoload?(:EncryptedS3Service) if defined?(::ActiveStorage::Service)
        end

        # Where the constant was defined, when that has happened.
        def defined_in
          return if autoloaded || !defined?(::ActiveStorage::Service::EncryptedS3Service)

          ::ActiveStorage::Service.const_source_location(:EncryptedS3Service)&.first
        end

        # Paths may differ where folders are links, as in many deployments.
        def ours?(path) = path == PATH || !File.file?(path) || File.identical?(path, PATH)

        def shown(path) = path.delete_prefix("#{::Rails.root}/")
      end
    end
  end
end
