# frozen_string_literal: true

require "securerandom"
require "stringio"
require_relative "check"

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
        failed subject, reason(e)
      ensure
        remove
      end

      private

      def subject = self.class::SUBJECT

      def key = service.probe("round-trip-#{self.class::SIZE}")

      def client = @client ||= service.client(**client_settings)

      def client_settings = {}

      def judge_stored(plaintext)
        stored = service.bucket.stored_bytes(key)
        return failed(subject, "the bucket holds the plaintext") if shows?(stored, plaintext)

        ok subject, "came back as it was; the bucket holds #{stored.bytesize} bytes without the plaintext"
      end

      def shows?(stored, plaintext)
        (0...plaintext.bytesize).step(STRIDE).any? { |start| stored.include?(plaintext.byteslice(start, SAMPLE)) }
      end

      # 20 MiB are not kept until the end.
      def remove
        service.client.delete(key)
        service.gone(key)
      rescue Error
        nil
      end
    end

    # With a file that is sent in one request.
    # @api private
    class SmallRoundTripCheck < RoundTripCheck
      SUBJECT = "round trip, 1 KiB"
      SIZE = 1 << 10
    end

    # With a file that is sent in parts. Its size is a little below a multiple of theirs: some stores (Cloudflare R2)
    # take no part that is larger than the first, and the tag at the end makes one if it is not counted.
    # @api private
    class MultipartRoundTripCheck < RoundTripCheck
      SUBJECT = "round trip, 20 MiB"
      # Bytes.
      PART = 5 << 20
      SIZE = (4 * PART) - 8
      private_constant :PART

      private

      # In parts, whatever the entry's threshold is.
      def client_settings
        { upload: { **(service.options[:upload] || {}), multipart_threshold: PART, part_size: PART } }
      end
    end
  end
end
