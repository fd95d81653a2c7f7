# frozen_string_literal: true

require "stringio"
require_relative "check"

module EncryptedS3Service
  class Doctor
    # Checks whether the bucket is publicly readable, which would expose ciphertext, sizes and times.
    # @api private
    class PublicCheck < Check
      SUBJECT = "public access"
      private_constant :SUBJECT

      # @return [Finding]
      def call
        key = service.probe("public")
        service.client.upload(key, StringIO.new("public access"))
        judge(service.bucket.ask_unsigned(key)[:status])
      rescue Error
        skipped SUBJECT, "needs an object, but none could be stored"
      end

      private

      def judge(status)
        return ok(SUBJECT, "blocked (#{status} to an unsigned request)") unless (200..299).cover?(status)

        warning SUBJECT, "anybody can read this bucket's objects. They are ciphertext, but block public access " \
                         "anyway"
      end
    end
  end
end
