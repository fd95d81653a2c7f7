# frozen_string_literal: true

require_relative "service_entries"

module EncryptedS3Service
  # Mirrors in which only some services encrypt: the others store every file in plaintext. During a migration from a
  # plaintext store this may be intended:
  #
  #     config.encrypted_s3_service.plaintext_mirrors = %i[moving]
  module MixedMirrors
    class << self
      # @param entries [ServiceEntries]
      # @return [Array<String>] a sentence for each mirror of `storage.yml` that encrypts only in part and is not in
      #   `config.encrypted_s3_service.plaintext_mirrors`. No service is built
      def problems(entries = ServiceEntries.new)
        mirrors = entries.names.select { |name| entries.mirror?(name) && !allowed?(name) }
        mirrors.filter_map { |name| problem_of_entry(name, entries) }
      end

      # @param service [ActiveStorage::Service]
      # @return [String, nil] the problem as a sentence; nil when it is not such a mirror or is allowed
      def problem(service)
        parts = ServiceParts.new(service)
        sentence(service.name, parts.plaintext.map(&:name)) if parts.mixed? && !allowed?(service.name)
      end

      # Logs a warning for each of the {problems}.
      # @param entries [ServiceEntries]
      # @param logger [Logger, nil]
      # @return [void]
      def warn(entries = ServiceEntries.new, logger: Rails.logger)
        problems(entries).each { |problem| logger&.warn("encrypted_s3_service: #{problem}") }
      end

      private

      def problem_of_entry(name, entries)
        encrypting, plaintext = entries.parts(name).partition { |part| entries.encrypts?(part) }
        sentence(name, plaintext) if encrypting.any? && plaintext.any?
      rescue ConfigurationError
        # A part does not exist. Using the mirror raises the error.
        nil
      end

      # Listing an entry also allows its tenants' services (`moving@42`).
      def allowed?(name)
        listed = Array(EncryptedS3Service.settings.plaintext_mirrors).map(&:to_s)
        listed.include?(name.to_s) || listed.include?(name.to_s.split(TenantKeys::SEPARATOR, 2).first)
      end

      def sentence(name, plaintext)
        "The mirror `#{name}` encrypts only in part: plaintext goes to " \
          "#{plaintext.map { |part| "`#{part}`" }.uniq.join(", ")}. Make all of its parts EncryptedS3 services. " \
          "During a migration, list the mirror in config.encrypted_s3_service.plaintext_mirrors."
      end
    end
  end
end
