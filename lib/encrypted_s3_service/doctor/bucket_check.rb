# frozen_string_literal: true

require_relative "check"

module EncryptedS3Service
  class Doctor
    # Checks credentials and bucket by reading an object that does not exist.
    # @api private
    class BucketCheck < Check
      # S3's codes for wrong credentials.
      CREDENTIALS = %w[InvalidAccessKeyId SignatureDoesNotMatch InvalidToken ExpiredToken TokenRefreshRequired
                       AuthFailure].freeze
      # S3's codes for a wrong clock.
      CLOCK = %w[RequestTimeTooSkewed RequestExpired].freeze
      # S3's codes for a wrong region.
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

      def known = ok("credentials", "accepted by the store")

      def judge(error)
        return [known, missing] if error.code == "bucket-not-found"
        return [failed("region", "wrong for this bucket: #{error.message}")] if of?(REGION, error)
        return [failed("credentials", "refused because of the clock (#{answer_in(error)})")] if of?(CLOCK, error)
        return [refused(error)] if of?(CREDENTIALS, error)
        return [failed("bucket", reason(error))] unless error.is_a?(AccessError)
        # No request was sent.
        return [failed("credentials", reason(error))] unless error.status

        # Amazon responds the same for a missing object if the credentials may not list the bucket.
        [warning("bucket", "unknown: the store responded with #{answer_in(error)} for a missing object. See the " \
                           "permissions below")]
      end

      def of?(codes, error) = [error.store_code, error.status].any? { |code| codes.include?(code.to_s) }

      def refused(error)
        failed "credentials", "refused (#{answer_in(error)}). Check access_key_id, secret_access_key and session_token"
      end

      def missing
        failed "bucket", "#{service.configuration.bucket.inspect} does not exist. Create it, or check " \
                         "`bucket`, `region` and `endpoint`"
      end
    end
  end
end
