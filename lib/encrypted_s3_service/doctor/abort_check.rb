# frozen_string_literal: true

require_relative "check"
require_relative "signed_request"

module EncryptedS3Service
  class Doctor
    # Whether multipart uploads may be begun and aborted. By requests of its own: a client that aborts an upload has
    # another failure to tell of, and is silent about this one.
    # @api private
    class AbortCheck < Check
      SUBJECT = "s3:AbortMultipartUpload"
      private_constant :SUBJECT

      # @return [Finding]
      def call
        @signed = SignedRequest.for(service.configuration, service.address)
        return skipped(SUBJECT, "can be tried only with credentials in the entry or the environment") unless @signed

        begin_and_abort
      rescue *StoreAddress::NETWORK_ERRORS => e
        failed SUBJECT, "the store did not answer (#{e.class.name})"
      end

      private

      def begin_and_abort
        begun = @signed.call("POST", key, "uploads=")
        id = begun.body.to_s[%r{<UploadId>([^<]+)</UploadId>}, 1]
        return failed(SUBJECT, "no multipart upload could be begun (#{begun.code})") unless id

        judge(@signed.call("DELETE", key, "uploadId=#{URI.encode_www_form_component(id)}"))
      end

      def judge(answer)
        return ok(SUBJECT, "allowed") if answer.is_a?(Net::HTTPSuccess)

        failed SUBJECT, "refused (#{answer.code}), but needed for cleaning up after a failed upload; allow it on the " \
                        "objects of #{service.configuration.bucket}. An empty upload of #{key} stays behind"
      end

      def key = "#{service.folder}/aborted"
    end
  end
end
