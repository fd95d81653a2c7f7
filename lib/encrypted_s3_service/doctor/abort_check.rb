# frozen_string_literal: true

require_relative "check"

module EncryptedS3Service
  class Doctor
    # Checks that multipart uploads can be started and aborted. It sends the requests itself, because a client ignores a
    # failed abort after another failure.
    # @api private
    class AbortCheck < Check
      SUBJECT = "s3:AbortMultipartUpload"
      # Attempts to abort when the response is lost.
      ATTEMPTS = 3
      private_constant :SUBJECT, :ATTEMPTS

      # @return [Finding]
      def call
        key = service.upload_probe("aborted")
        abort(key, service.bucket.begin_upload(key))
      rescue Error => e
        failed SUBJECT, "no multipart upload could be started (#{answer_in(e)})"
      end

      private

      def abort(key, id, attempts = ATTEMPTS)
        service.bucket.abort_upload(key, id)
        ok SUBJECT, "allowed"
      rescue TransportError => e
        attempts > 1 ? abort(key, id, attempts - 1) : failed(SUBJECT, "the store did not respond: #{reason(e)}")
      rescue Error => e
        # An earlier attempt succeeded, but its response was lost.
        return ok(SUBJECT, "allowed") if e.is_a?(NotFoundError) || e.store_code == "NoSuchUpload"

        failed SUBJECT, "refused (#{answer_in(e)}), but needed to clean up after a failed upload. Allow it on " \
                        "the objects of #{service.configuration.bucket}. An empty upload of #{key} remains"
      end
    end
  end
end
