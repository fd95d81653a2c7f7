# frozen_string_literal: true

require_relative "../keys/encryption_key"
require_relative "check"

module EncryptedS3Service
  class Doctor
    # Whether there is a key, of the right length, that was not made up by a person.
    # @api private
    class KeyCheck < Check
      SUBJECT = "key"
      MAKE = "Make one with `bin/rails encrypted_s3_service:generate_key`"
      # Among 32 random bytes some 30 are different; fewer than this do not happen.
      FEWEST_DIFFERENT = 12
      KEEP = "Keep this one: files that are stored already need it"
      private_constant :SUBJECT, :MAKE, :KEEP, :FEWEST_DIFFERENT

      # @return [Finding]
      def call
        key = service.configuration.tap(&:to_native).encryption_key
        return skipped(SUBJECT, "the entry has keys of another kind") unless key

        key.kind == "aes" ? judge(key) : judge_rsa(key)
      rescue ConfigurationError => e
        # The store is examined all the same, with a key that is thrown away.
        service.go_on_with(encryption_key: EncryptionKey.generate, encryption_key_passphrase: nil)
        return failed(SUBJECT, "missing. #{MAKE}") if EncryptionKey.blank?(service.options[:encryption_key])

        failed SUBJECT, e.message
      end

      private

      def judge(key)
        if weak?(key.bytes)
          failed SUBJECT, "guessable: a pattern instead of random bytes. #{MAKE}. #{KEEP}"
        elsif key.bytes.match?(/\A[ -~]+\z/n)
          warning SUBJECT, "printable text, which is easier to guess than random bytes. #{MAKE}. #{KEEP}"
        else
          ok SUBJECT, "#{EncryptionKey::SIZE} bytes, #{key.id ? "id #{key.id}" : "without an id"}"
        end
      end

      def judge_rsa(key)
        return ok(SUBJECT, "a private RSA key, id #{key.id}") if key.reads?

        warning SUBJECT, "a public RSA key, which writes and cannot read: files are stored and not served"
      end

      # All the same byte, counting up or down, or a few bytes again and again.
      def weak?(bytes)
        steps = bytes.each_byte.each_cons(2).map { |one, next_one| (next_one - one) % 256 }
        steps.uniq.one? || bytes.bytes.uniq.size < FEWEST_DIFFERENT
      end
    end
  end
end
