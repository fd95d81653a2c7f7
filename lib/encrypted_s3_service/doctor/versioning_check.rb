# frozen_string_literal: true

require_relative "check"

module EncryptedS3Service
  class Doctor
    # Checks whether the bucket keeps versions of deleted files, or locks them.
    # @api private
    class VersioningCheck < Check
      SUBJECT = "versioning"
      private_constant :SUBJECT

      # @return [Array<Finding>]
      def call
        state = service.bucket.state
        [versioning(state), lock(state)].compact
      rescue Error => e
        skipped SUBJECT, "unknown (#{answer_in(e)}). It needs s3:GetBucketVersioning"
      end

      private

      def versioning(state)
        return ok(SUBJECT, "off: deleted files are gone") unless state[:versioning]

        hint SUBJECT, "#{state[:versioning].downcase}: purged and rotated files remain as older versions, the " \
                      "latter under their old keys. Add a rule to the bucket that deletes these " \
                      "(NoncurrentVersionExpiration)"
      end

      def lock(state)
        return unless state[:locks]
        return ok("object lock", "supported, but not the default of new objects") unless state[:default_lock]

        warning "object lock", "#{state[:default_lock]} for every new object: files cannot be purged until it expires"
      end
    end
  end
end
