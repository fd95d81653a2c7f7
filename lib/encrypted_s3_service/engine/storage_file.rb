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
        # Reads the entries as Active Storage does (ActiveStorage::Engine, initializer `active_storage.services`) and
        # stores them in `config.active_storage.service_configurations`, so that the file is evaluated only once.
        # @return [Hash{Symbol => Hash}] entries by name; empty when there is no file
        # @raise [StandardError] any error of the file's own code
        def entries
          redact
          options = ::Rails.configuration.active_storage
          options.service_configurations ||= Configuration::Redacted.wrap(parse)
          options.service_configurations.to_h.deep_symbolize_keys
        end

        # Hides the secrets of the entries in `inspect` and similar output of the application's configuration.
        # @return [void]
        def redact
          options = ::Rails.configuration.active_storage
          configured = options.service_configurations
          options.service_configurations = Configuration::Redacted.wrap(configured) if configured
        end

        # @return [String] the file that Rails reads, relative to the application's folder: the environment's own file
        #   if there is one (`config/storage/production.yml`), otherwise `config/storage.yml`
        def path
          own = "config/storage/#{::Rails.env}.yml"
          ::Rails.root.join(own).exist? ? own : "config/storage.yml"
        end

        # @param entry [Object]
        # @return [Boolean] whether `service:` is EncryptedS3 in any spelling that Rails accepts
        def ours?(entry) = entry.is_a?(Hash) && entry[:service].to_s.underscore == "encrypted_s3"

        private

        def parse
          file = ::Rails.root.join(path)
          ActiveSupport::ConfigurationFile.parse(file) if file.exist?
        end
      end
    end
  end
end
