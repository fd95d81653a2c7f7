# frozen_string_literal: true

require "securerandom"
require "stringio"
require_relative "check"

module EncryptedS3Service
  class Doctor
    # Checks that a file is read back unchanged and that the bucket does not contain its plaintext. A subclass has
    # `SUBJECT` and `SIZE`, in bytes.
    # @api private
    class RoundTripCheck < Check
      # Length of the plaintext samples that are searched for in the stored body, and distance between them, in bytes.
      SAMPLE = 32
      STRIDE = 256 << 10
      private_constant :SAMPLE, :STRIDE

      # @return [Finding]
      def call
        plaintext = SecureRandom.random_bytes(self.class::SIZE)
        client.upload(key, StringIO.new(plaintext))
        return failed(subject, "the downloaded file is not the stored one") unless client.download(key) == plaintext

        judge_stored(plaintext)
      rescue AccessError => e
        forbidden(subject, e)
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
        return failed(subject, "the store contains the plaintext") if shows?(stored, plaintext)

        place = service.root ? "folder" : "bucket"
        ok subject, "read back unchanged. The #{place} has #{stored.bytesize} bytes without the plaintext"
      end

      def shows?(stored, plaintext)
        (0...plaintext.bytesize).step(STRIDE).any? { |start| stored.include?(plaintext.byteslice(start, SAMPLE)) }
      end

      # Deletes the probe early, because it can have 20 MiB.
      def remove
        service.client.delete(key)
        service.gone(key)
      rescue Error
        nil
      end
    end

    # Checks a file that is uploaded in one request.
    # @api private
    class SmallRoundTripCheck < RoundTripCheck
      SUBJECT = "round trip, 1 KiB"
      SIZE = 1 << 10
    end

    # Checks a file that is uploaded in parts. Its size is slightly below a multiple of the part size, so that the
    # authentication tag would make the last part too large if it were not counted. Some stores (Cloudflare R2) refuse a
    # part that is larger than the first.
    # @api private
    class MultipartRoundTripCheck < RoundTripCheck
      SUBJECT = "round trip, 20 MiB"
      # Bytes.
      PART = 5 << 20
      SIZE = (4 * PART) - 8
      private_constant :PART

      private

      # Uploads in parts regardless of the entry's threshold.
      def client_settings
        { upload: { **(service.options[:upload] || {}), multipart_threshold: PART, part_size: PART } }
      end
    end
  end
end
