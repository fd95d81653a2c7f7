# frozen_string_literal: true

require "stringio"
require_relative "check"

module EncryptedS3Service
  class Doctor
    # Checks that new objects are for the recovery keys, and that the store keeps the entry by which they open. The
    # private recovery keys are not here, so a pair of the doctor's own shows that such an object opens without other
    # keys.
    # @api private
    class RecoveryCheck < Check
      SUBJECT = "recovery keys"
      TEXT = "recovery"
      private_constant :SUBJECT, :TEXT

      # @return [Finding, nil] nil when there are no recovery keys
      def call
        wanted = service.configuration.recovery_fingerprints
        return if wanted.empty?
        return failed(SUBJECT, "the store does not keep the metadata entry by which they open") unless named == wanted
        return failed(SUBJECT, "an object that was stored for a recovery key does not open by it") unless opens?

        ok SUBJECT, "new files are for #{wanted.join(", ")}. Try each private key once, where it is kept: " \
                    "encrypted_s3_service decrypt OBJECT --recovery-key FILE"
      rescue Error => e
        failed SUBJECT, "cannot be tried (#{answer_in(e)})"
      end

      private

      def named
        key = service.probe("recovery")
        service.client.upload(key, StringIO.new(TEXT))
        service.client.envelope(key).recovery
      end

      def opens?
        pair = OpenSSL::PKey::RSA.new(2048)
        key = service.probe("recovery-pair")
        service.client(recovery_keys: [pair.public_to_pem]).upload(key, StringIO.new(TEXT))
        RecoveryClient.new(pair.private_to_der, service.configuration(retry_limit: 1)).download(key) == TEXT
      end
    end
  end
end
