# frozen_string_literal: true

require_relative "check"

module EncryptedS3Service
  class Doctor
    # Whether the store knows the credentials and has the bucket: by reading an object that is not there.
    # @api private
    class BucketCheck < Check
      # S3's codes for credentials that are not the right ones.
      STRANGERS = /InvalidAccessKeyId|SignatureDoesNotMatch|InvalidToken|ExpiredToken|TokenRefreshRequired|AuthFailure/
      private_constant :STRANGERS

      # @return [Array<Finding>]
      def call
        service.client.download("#{service.folder}/none")
      rescue NotFoundError
        [known, ok("bucket", "exists")]
      rescue AccessError => e
        denied(e)
      rescue Error => e
        e.code == "bucket-not-found" ? [known, missing] : [failed("bucket", e.message)]
      end

      private

      def known = ok("credentials", "the store knows them")

      def missing
        failed "bucket", "#{service.configuration.bucket.inspect} does not exist there; create it, or check " \
                         "`bucket`, `region` and `endpoint`"
      end

      def denied(error)
        case error.message
        when /no AWS credentials/ then [failed("credentials", error.message[/no AWS credentials.*/])]
        when /RequestTimeTooSkewed|RequestExpired/ then [failed("credentials", "refused because of the clock")]
        when STRANGERS then [failed("credentials", "refused (#{answer_in(error)}); check access_key_id, " \
                                                   "secret_access_key and session_token")]
        else
          # Amazon says this of an absent object too, to those who may not list the bucket.
          [warning("bucket", "cannot be told: reading an absent object was answered by #{answer_in(error)}; the " \
                             "lines below say what is allowed")]
        end
      end
    end
  end
end
