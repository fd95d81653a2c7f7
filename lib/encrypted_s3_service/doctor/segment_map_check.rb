# frozen_string_literal: true

require "stringio"
require_relative "check"

module EncryptedS3Service
  class Doctor
    # Checks that the segment map of a large file is stored beside it, read, and deleted with it. Files can be stored
    # and read without it, but reading a part of a file then costs as much as reading the whole file.
    # @api private
    class SegmentMapCheck < Check
      SUBJECT = "segment maps"
      # Bytes. With this limit a small probe gets a map.
      LIMIT = Configuration::SMALLEST_MEMORY_LIMIT
      MAGIC = "ES3SEGMT"
      ADVICE = "Allow s3:PutObject, s3:GetObject and s3:DeleteObject on keys that end in .segments, or set " \
               "`segment_index: false`"
      private_constant :SUBJECT, :LIMIT, :MAGIC, :ADVICE

      # @return [Finding]
      def call
        return skipped(SUBJECT, "`segment_index` is false") unless service.configuration.segment_index?

        stored = quietly { client.upload(key, StringIO.new("\0" * (LIMIT + 1))) }
        return unstored(stored[:index_error]) unless stored[:indexed]

        judge
      rescue AccessError => e
        forbidden(SUBJECT, e)
      rescue Error => e
        failed SUBJECT, reason(e)
      end

      private

      def client = @client ||= service.client(memory_limit: LIMIT)

      def key = service.probe("segments")

      def sidecar = "#{key}#{Configuration::SEGMENTS_SUFFIX}"

      def unstored(error)
        warning SUBJECT, "large files are stored without them (#{answer_in(error)}). #{ADVICE}"
      end

      def judge
        return warning SUBJECT, "they are stored but unreadable, so they have no effect. #{ADVICE}" unless readable?

        client.delete(key)
        service.gone(key) unless left?
        left? ? failed(SUBJECT, "they are not deleted with their files. #{ADVICE}") : ok(SUBJECT, "work")
      end

      def readable?
        service.bucket.stored_bytes(sidecar).start_with?(MAGIC)
      rescue AccessError, NotFoundError
        false
      end

      def left?
        service.bucket.stored_bytes(sidecar)
        true
      rescue NotFoundError
        false
      end

      # The finding reports what would be logged.
      def quietly
        before = EncryptedS3Service.logger
        EncryptedS3Service.logger = Logger.new(nil)
        yield
      ensure
        EncryptedS3Service.logger = before
      end
    end
  end
end
