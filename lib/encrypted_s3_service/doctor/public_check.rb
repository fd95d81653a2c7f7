# frozen_string_literal: true

require "stringio"
require_relative "check"

module EncryptedS3Service
  class Doctor
    # Whether everybody may read the bucket. They would get ciphertext, its size and its time.
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
        skipped SUBJECT, "needs an object, which could not be stored"
      end

      private

      def judge(status)
        return ok(SUBJECT, "none (#{status} without a signature)") unless (200..299).cover?(status)

        warning SUBJECT, "everybody can read this bucket's objects. They are ciphertext, but block public access all " \
                         "the same"
      end
    end
  end
end
