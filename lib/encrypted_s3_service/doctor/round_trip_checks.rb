# frozen_string_literal: true

require "securerandom"
require "stringio"
require_relative "check"
require_relative "signed_request"

module EncryptedS3Service
  class Doctor
    # Whether what is stored comes back, and whether the bucket holds something else. A subclass has `SUBJECT` and
    # `SIZE`, in bytes.
    # @api private
    class RoundTripCheck < Check
      # Bytes of the plaintext that are searched for in the bucket, and how far apart they begin.
      SAMPLE = 32
      STRIDE = 256 << 10
      private_constant :SAMPLE, :STRIDE

      # @return [Finding]
      def call
        plaintext = SecureRandom.random_bytes(self.class::SIZE)
        client.upload(key, StringIO.new(plaintext))
        return failed(subject, "what came back is not what was stored") unless client.download(key) == plaintext

        judge_stored(plaintext)
      rescue AccessError => e
        skipped subject, "not allowed (#{answer_in(e)}); see the permissions"
      rescue Error => e
        failed subject, e.message
      ensure
        remove
      end

      private

      def subject = self.class::SUBJECT

      def key = service.probe("round-trip-#{self.class::SIZE}")

      def client = @client ||= service.client(**client_settings)

      def client_settings = {}

      def judge_stored(plaintext)
        signed = SignedRequest.for(service.configuration, service.address)
        unless signed
          return ok(subject, "came back as it was (with credentials in the entry or the environment the bucket's " \
                             "bytes would be looked at too)")
        end
        compare(signed.call("GET", key), plaintext)
      rescue *StoreAddress::NETWORK_ERRORS
        failed subject, "what lies in the bucket could not be read"
      end

      def compare(answer, plaintext)
        return failed(subject, "what lies in the bucket could not be read (#{answer.code})") unless answer.code == "200"
        return failed(subject, "the bucket holds the plaintext") if shows?(answer.body, plaintext)

        ok subject, "came back as it was; the bucket holds #{answer.body.bytesize} bytes without the plaintext"
      end

      def shows?(stored, plaintext)
        (0...plaintext.bytesize).step(STRIDE).any? { |start| stored.include?(plaintext.byteslice(start, SAMPLE)) }
      end

      # 20 MiB are not kept until the end.
      def remove
        service.client.delete(key)
      rescue Error
        nil
      end
    end

    # @api private
    class SmallRoundTripCheck < RoundTripCheck
      SUBJECT = "round trip, 1 KiB"
      SIZE = 1 << 10
    end

    # @api private
    class MultipartRoundTripCheck < RoundTripCheck
      SUBJECT = "round trip, 20 MiB"
      SIZE = 20 << 20
      # Bytes.
      PART = 8 << 20
      private_constant :PART

      private

      # In parts, whatever the entry's threshold is.
      def client_settings
        { upload: { **(service.options[:upload] || {}), multipart_threshold: PART, part_size: PART } }
      end
    end
  end
end
