# frozen_string_literal: true

require_relative "check"

module EncryptedS3Service
  class Doctor
    # What becomes of files that are deleted: a bucket can keep their versions, or lock them.
    # @api private
    class VersioningCheck < Check
      SUBJECT = "versioning"
      private_constant :SUBJECT

      # @return [Array<Finding>]
      def call
        state = service.bucket.state
        [versioning(state), lock(state)].compact
      rescue Error => e
        skipped SUBJECT, "the store does not say (#{answer_in(e)}; needs s3:GetBucketVersioning)"
      end

      private

      def versioning(state)
        return ok(SUBJECT, "off: deleted files are gone") unless state[:versioning]

        hint SUBJECT, "#{state[:versioning].downcase}: files that are purged or rotated stay as older versions, the " \
                      "latter under their old keys. Give the bucket a rule that removes those " \
                      "(NoncurrentVersionExpiration)"
      end

      def lock(state)
        return unless state[:locks]
        return ok("object lock", "possible, but not the default of new objects") unless state[:default_lock]

        warning "object lock", "#{state[:default_lock]} for every new object: files cannot be purged before it ends"
      end
    end
  end
end
