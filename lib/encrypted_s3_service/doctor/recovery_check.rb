# frozen_string_literal: true

require "stringio"
require_relative "check"

module EncryptedS3Service
  class Doctor
    # Checks that the recovery keys can open new objects: the store must keep the metadata entry for them. The private
    # recovery keys are not here, so a temporary key pair is used to check that such an object can be opened by it
    # alone.
    # @api private
    class RecoveryCheck < Check
      SUBJECT = "recovery keys"
      TEXT = "recovery"
      private_constant :SUBJECT, :TEXT

      # @return [Finding, nil] nil when there are no recovery keys
      def call
        wanted = service.configuration.recovery_fingerprints
        return if wanted.empty?
        return failed(SUBJECT, "the store does not keep their metadata entry") unless named == wanted
        return failed(SUBJECT, "an object stored for a recovery key cannot be opened by it") unless opens?

        ok SUBJECT, "new files can be opened by #{wanted.join(", ")}. Try each private key once, where it is stored: " \
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
