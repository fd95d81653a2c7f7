# frozen_string_literal: true

require_relative "service_entries"

module EncryptedS3Service
  # Mirrors that encrypt in part: every file that is stored on them lies in plaintext on the other part. Somebody who
  # moves files from a plaintext store to an encrypted one may want that for a while and says so:
  #
  #     config.encrypted_s3_service.plaintext_mirrors = %i[moving]
  module MixedMirrors
    class << self
      # @param entries [ServiceEntries]
      # @return [Array<String>] a sentence for each mirror of `storage.yml` that encrypts in part and is not listed in
      #   `config.encrypted_s3_service.plaintext_mirrors`. No service is built
      def problems(entries = ServiceEntries.new)
        mirrors = entries.names.select { |name| entries.mirror?(name) && !allowed?(name) }
        mirrors.filter_map { |name| problem_of_entry(name, entries) }
      end

      # @param service [ActiveStorage::Service]
      # @return [String, nil] what is wrong with it, nil when it is no such mirror or allowed
      def problem(service)
        parts = ServiceParts.new(service)
        sentence(service.name, parts.plaintext.map(&:name)) if parts.mixed? && !allowed?(service.name)
      end

      # Writes a warning for each of the {problems} to the log.
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
        # It consists of what does not exist: whoever uses it is told.
        nil
      end

      # A tenant's service (`moving@42`) is listed with its entry.
      def allowed?(name)
        listed = Array(EncryptedS3Service.settings.plaintext_mirrors).map(&:to_s)
        listed.include?(name.to_s) || listed.include?(name.to_s.split(TenantKeys::SEPARATOR, 2).first)
      end

      def sentence(name, plaintext)
        "The mirror `#{name}` encrypts in part only: #{plaintext.map { |part| "`#{part}`" }.uniq.join(", ")} gets " \
          "plaintext. Make all of its parts EncryptedS3 services. While you move files, list the mirror in " \
          "config.encrypted_s3_service.plaintext_mirrors."
      end
    end
  end
end
