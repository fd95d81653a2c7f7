# frozen_string_literal: true

require "stringio"
require_relative "check"

module EncryptedS3Service
  class Doctor
    # Whether an object can get a new key without being moved. It takes that the store replaces an object's metadata
    # when it copies it onto itself, which some say they do and do not.
    # @api private
    class RotationCheck < Check
      SUBJECT = "rotation"
      private_constant :SUBJECT

      # @return [Finding]
      def call
        return skipped(SUBJECT, "needs a key that reads") unless service.configuration.encryption_key&.reads?

        former = EncryptionKey.generate
        key = service.probe("rotation")
        with_key(former).upload(key, StringIO.new("rotation"))
        service.client(decryption_keys: [former]).rotate(key, verify: true)
        ok SUBJECT, "a new key is put around an object in its place"
      rescue NotRotatedError
        warning SUBJECT, "impossible: the store says that it has replaced an object's metadata, and has not. Rotate " \
                         "with REENCRYPT=true, and keep old keys until then"
      rescue Error => e
        warning SUBJECT, "impossible (#{answer_in(e)}). Rotate with REENCRYPT=true"
      end

      private

      def with_key(key)
        service.client(encryption_key: key, encryption_key_id: nil, encryption_key_passphrase: nil,
                       decryption_keys: nil)
      end
    end
  end
end
