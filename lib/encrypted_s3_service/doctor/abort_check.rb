# frozen_string_literal: true

require_relative "check"

module EncryptedS3Service
  class Doctor
    # Whether multipart uploads may be begun and aborted. By requests of its own: a client that aborts an upload has
    # another failure to tell of, and is silent about this one.
    # @api private
    class AbortCheck < Check
      SUBJECT = "s3:AbortMultipartUpload"
      # Attempts to abort an upload whose answers are lost.
      ATTEMPTS = 3
      private_constant :SUBJECT, :ATTEMPTS

      # @return [Finding]
      def call
        key = service.upload_probe("aborted")
        abort(key, service.bucket.begin_upload(key))
      rescue Error => e
        failed SUBJECT, "no multipart upload could be begun (#{answer_in(e)})"
      end

      private

      def abort(key, id, attempts = ATTEMPTS)
        service.bucket.abort_upload(key, id)
        ok SUBJECT, "allowed"
      rescue TransportError => e
        attempts > 1 ? abort(key, id, attempts - 1) : failed(SUBJECT, "the store did not answer: #{reason(e)}")
      rescue Error => e
        # An earlier attempt has ended it, and its answer was lost.
        return ok(SUBJECT, "allowed") if e.is_a?(NotFoundError) || e.store_code == "NoSuchUpload"

        failed SUBJECT, "refused (#{answer_in(e)}), but needed for cleaning up after a failed upload. Allow it on " \
                        "the objects of #{service.configuration.bucket}. An empty upload of #{key} stays behind"
      end
    end
  end
end
