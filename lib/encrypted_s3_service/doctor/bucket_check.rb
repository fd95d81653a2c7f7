# frozen_string_literal: true

require_relative "check"

module EncryptedS3Service
  class Doctor
    # Whether the store knows the credentials and has the bucket: by reading an object that is not there.
    # @api private
    class BucketCheck < Check
      # S3's codes for credentials that are not the right ones.
      CREDENTIALS = %w[InvalidAccessKeyId SignatureDoesNotMatch InvalidToken ExpiredToken TokenRefreshRequired
                       AuthFailure].freeze
      # For a clock that is off.
      CLOCK = %w[RequestTimeTooSkewed RequestExpired].freeze
      # For a region that is not the bucket's.
      REGION = %w[AuthorizationHeaderMalformed PermanentRedirect TemporaryRedirect IllegalLocationConstraintException
                  301 307].freeze
      private_constant :CREDENTIALS, :CLOCK, :REGION

      # @return [Array<Finding>]
      def call
        service.client.download("#{service.folder}/none")
      rescue NotFoundError
        [known, ok("bucket", "exists")]
      rescue Error => e
        judge(e)
      end

      private

      def known = ok("credentials", "the store knows them")

      def judge(error)
        return [known, missing] if error.code == "bucket-not-found"
        return [failed("region", "is not the bucket's: #{error.message}")] if of?(REGION, error)
        return [failed("credentials", "refused because of the clock (#{answer_in(error)})")] if of?(CLOCK, error)
        return [refused(error)] if of?(CREDENTIALS, error)
        return [failed("bucket", reason(error))] unless error.is_a?(AccessError)
        # No request was sent.
        return [failed("credentials", reason(error))] unless error.status

        # Amazon says this of an absent object too, to those who may not list the bucket.
        [warning("bucket", "unknown: reading an absent object was answered by #{answer_in(error)}. The lines below " \
                           "say what is allowed")]
      end

      def of?(codes, error) = [error.store_code, error.status].any? { |code| codes.include?(code.to_s) }

      def refused(error)
        failed "credentials", "refused (#{answer_in(error)}). Check access_key_id, secret_access_key and session_token"
      end

      def missing
        failed "bucket", "#{service.configuration.bucket.inspect} does not exist there. Create it, or check " \
                         "`bucket`, `region` and `endpoint`"
      end
    end
  end
end
