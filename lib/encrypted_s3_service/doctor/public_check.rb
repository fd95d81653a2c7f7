# frozen_string_literal: true

require_relative "check"
require_relative "store_address"

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
        judge(service.address.request("GET", service.address.object(key)))
      rescue Error
        skipped SUBJECT, "needs an object, which could not be stored"
      rescue *StoreAddress::NETWORK_ERRORS => e
        skipped SUBJECT, "the store did not answer (#{e.class.name})"
      end

      private

      def judge(answer)
        return ok(SUBJECT, "none (#{answer.code} without a signature)") unless answer.is_a?(Net::HTTPSuccess)

        warning SUBJECT, "everybody may read this bucket's objects. They are ciphertext, but block public access all " \
                         "the same"
      end
    end
  end
end
