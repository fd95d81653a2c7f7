# frozen_string_literal: true

require_relative "check"

module EncryptedS3Service
  class Doctor
    # Whether anybody answers where the store should be, on the way of all requests. What is answered does not matter:
    # the request has no signature.
    # @api private
    class EndpointCheck < Check
      SUBJECT = "endpoint"
      private_constant :SUBJECT

      # @return [Finding]
      def call
        status = service.bucket.ask_unsigned("#{service.folder}/none")[:status]
        ok SUBJECT, "#{service.place} answers (#{status} to a request without a signature)"
      rescue Error => e
        failed SUBJECT, "#{service.place} does not answer: #{reason(e)}"
      end
    end
  end
end
