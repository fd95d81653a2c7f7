# frozen_string_literal: true

require_relative "../keys/encryption_key"
require_relative "check"
require_relative "kms_key_check"

module EncryptedS3Service
  class Doctor
    # Checks that there is a key of the right length that cannot be guessed.
    # @api private
    class KeyCheck < Check
      SUBJECT = "key"
      CUSTODY = "key in custody"
      MAKE = "Generate one with `bin/rails encrypted_s3_service:generate_key`"
      # 32 random bytes have about 30 different values, and practically never fewer than this.
      FEWEST_DIFFERENT = 12
      KEEP = "Keep this one, because stored files need it"
      private_constant :SUBJECT, :CUSTODY, :MAKE, :KEEP, :FEWEST_DIFFERENT

      # @return [Finding, Array<Finding>]
      def call
        configuration = service.configuration.tap(&:to_native_without_keys)
        key = configuration.encryption_key
        return skipped(SUBJECT, "the entry uses another kind of key") unless key
        return [*own(key), examine_custody(configuration)] if configuration.keys_in_custody?

        own(key)
      rescue ConfigurationError => e
        # The other checks use a temporary key.
        service.continue_with(**ExaminedService.temporary_key)
        failed SUBJECT, missing? ? "missing. #{Configuration::MissingKey.way_out(MAKE)}" : e.message
      end

      private

      def missing?
        service.options[:kms_key_id].nil? && EncryptionKey.blank?(service.options[:encryption_key])
      end

      def own(key)
        return KmsKeyCheck.new(service).call if key.is_a?(KmsKey)
        return if key.custodied?

        key.kind == "aes" ? judge(key) : judge_rsa(key)
      end

      # The keys are requested again, because this process may keep keys that have been revoked meanwhile.
      def examine_custody(configuration)
        EncryptedS3Service.forget_keys
        keys = configuration.keys.select(&:custodied?)
        keys.each { |key| key.copy.wipe }
        names = keys.map { |key| "the key #{key.id || "without an id"}" }
        ok CUSTODY, "#{custodian} returned #{names.join(", ")}. During an outage files stay usable for " \
                    "#{EncryptedS3Service.key_custody_ttl.to_i} seconds at most " \
                    "(config.encrypted_s3_service.key_custody_ttl)"
      rescue Error => e
        # The other checks use a temporary key.
        service.continue_with(**ExaminedService.temporary_key, decryption_keys: nil)
        failed CUSTODY, e.message
      end

      def custodian
        custodian = EncryptedS3Service.key_custodian
        custodian.respond_to?(:name) ? custodian.name : custodian.class.name
      end

      def judge(key)
        if weak?(key.bytes)
          failed SUBJECT, "guessable, because it is a pattern and not random bytes. #{MAKE}. #{KEEP}"
        elsif key.bytes.match?(/\A[ -~]+\z/n)
          warning SUBJECT, "printable text, which is easier to guess than random bytes. #{MAKE}. #{KEEP}"
        else
          ok SUBJECT, "#{EncryptionKey::SIZE} bytes, #{key.id ? "id #{key.id}" : "without an id"}"
        end
      end

      def judge_rsa(key)
        return ok(SUBJECT, "a private RSA key, id #{key.id}") if key.reads?

        warning SUBJECT, "a public RSA key, which can only write: files are stored but cannot be served"
      end

      # Repeated bytes, ascending or descending bytes, or few different ones.
      def weak?(bytes)
        steps = bytes.each_byte.each_cons(2).map { |one, next_one| (next_one - one) % 256 }
        steps.uniq.one? || bytes.bytes.uniq.size < FEWEST_DIFFERENT
      end
    end
  end
end
