# frozen_string_literal: true

require_relative "check"

module EncryptedS3Service
  class Doctor
    # Checks that the endpoint responds. Any response counts, because the request is not signed.
    # @api private
    class EndpointCheck < Check
      SUBJECT = "endpoint"
      private_constant :SUBJECT

      # @return [Finding]
      def call
        status = service.bucket.ask_unsigned("#{service.folder}/none")[:status]
        ok SUBJECT, "#{service.place} responds (#{status} to an unsigned request)"
      rescue Error => e
        # The error for a rejected certificate contains its own advice.
        advice = ". Check `endpoint`, `region`, and the network between" unless e.is_a?(CertificateError)
        failed SUBJECT, "#{service.place} does not respond: #{reason(e)}#{advice}"
      end
    end
  end
end
