# frozen_string_literal: true

require "active_support/configuration_file"
require_relative "../configuration"
require_relative "../configuration/redacted"

module EncryptedS3Service
  class Engine
    # The entries of the application's `storage.yml`.
    # @api private
    module StorageFile
      class << self
        # Reads them as Active Storage does (ActiveStorage::Engine, initializer `active_storage.services`), and leaves
        # them where it looks first, so that the file is evaluated once.
        # @return [Hash{Symbol => Hash}] by their names; empty when there is no such file
        # @raise [StandardError] what the file's own code raises
        def entries
          redact
          options = ::Rails.configuration.active_storage
          options.service_configurations ||= Configuration::Redacted.wrap(parse)
          options.service_configurations.to_h.deep_symbolize_keys
        end

        # Takes care that the settings show no secret when somebody looks at the application's configuration.
        # @return [void]
        def redact
          options = ::Rails.configuration.active_storage
          configured = options.service_configurations
          options.service_configurations = Configuration::Redacted.wrap(configured) if configured
        end

        # @param entry [Object]
        # @return [Boolean] whether `service:` names this gem's. Rails camelizes and underscores what is written there
        def ours?(entry) = entry.is_a?(Hash) && entry[:service].to_s.underscore == "encrypted_s3"

        private

        def parse
          files = ["config/storage/#{::Rails.env}.yml", "config/storage.yml"].map { |name| ::Rails.root.join(name) }
          file = files.find(&:exist?)
          ActiveSupport::ConfigurationFile.parse(file) if file
        end
      end
    end
  end
end
