# frozen_string_literal: true

require "stringio"
require_relative "check"

module EncryptedS3Service
  class Doctor
    # Checks that an object's data key can be rewrapped in place. For this the store must replace an object's metadata
    # when it copies the object onto itself; some stores report success without doing it.
    # @api private
    class RotationCheck < Check
      SUBJECT = "rotation"
      private_constant :SUBJECT

      # @return [Finding]
      def call
        return skipped(SUBJECT, "needs a key that can read") unless service.configuration.encryption_key&.reads?

        former = EncryptionKey.generate
        key = service.probe("rotation")
        with_key(former).upload(key, StringIO.new("rotation"))
        service.client(decryption_keys: [former]).rotate(key, verify: true)
        ok SUBJECT, "objects can be rewrapped in place"
      rescue NotRotatedError
        warning SUBJECT, "impossible: the store reports that it replaced an object's metadata but did not. Rotate " \
                         "with REENCRYPT=true, and keep old keys until then"
      rescue Error => e
        return warning(SUBJECT, "impossible from keys outside of AWS KMS: #{e.message}") if of_kms?(e)

        warning SUBJECT, "impossible (#{answer_in(e)}). Rotate with REENCRYPT=true"
      end

      private

      # S3's codes do not end like this.
      def of_kms?(error) = error.store_code.to_s.end_with?("Exception")

      def with_key(key)
        service.client(**ExaminedService.temporary_key, encryption_key: key,
                                                        decryption_keys: nil, kms_allow_decrypt_with_any_cmk: nil)
      end
    end
  end
end
