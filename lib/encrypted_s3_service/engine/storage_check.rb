# frozen_string_literal: true

require_relative "../configuration"
require_relative "storage_file"

module EncryptedS3Service
  class Engine
    # Checks every EncryptedS3 entry of `storage.yml` at boot, without a request to a store. Rails itself builds most
    # services only when they are first used.
    # @api private
    class StorageCheck
      # Settings that name certificate files.
      CERTIFICATES = %i[ssl_ca_bundle ssl_ca_directory].freeze
      private_constant :CERTIFICATES

      # @param logger [Logger, nil]
      def initialize(logger = ::Rails.logger)
        @logger = logger
      end

      # @return [void]
      # @raise [ConfigurationError] when an entry is wrong; it names the entry and the setting
      def call
        entries.each { |name, entry| check(name, entry.except(:service)) if StorageFile.ours?(entry) }
      end

      private

      def entries
        StorageFile.entries
      rescue StandardError => e
        raise unless Configuration::Tolerance.tolerated?

        # The file's own code raises for a missing secret (`ENV.fetch`, `credentials.x!`).
        warn "#{StorageFile.path} cannot be read here (#{e.class.name})."
        {}
      end

      def check(name, entry)
        problem = problem_of(entry)
        warn "The service `#{name}` of #{StorageFile.path} cannot be used: #{problem}." if problem
      rescue ConfigurationError => e
        raise ConfigurationError, "The service `#{name}` of #{StorageFile.path} is wrong: #{e.message}"
      end

      # @return [String, nil] the missing setting, if that is tolerated
      # @raise [ConfigurationError]
      def problem_of(entry)
        tolerance = Configuration::Tolerance
        tolerance.client(present(entry), placeholders: tolerance.placeholders?).configuration.problem
      end

      # Certificate files may exist only on the servers that use the service.
      def present(entry)
        return entry unless Configuration::Tolerance.tolerated?

        entry.reject { |name, path| CERTIFICATES.include?(name) && !File.exist?(path.to_s) }
      end

      def warn(problem)
        @logger&.warn("encrypted_s3_service: #{problem} Booting continues because #{Configuration::Tolerance.reason}.")
      end
    end
  end
end
