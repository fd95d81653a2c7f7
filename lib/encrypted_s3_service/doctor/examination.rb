# frozen_string_literal: true

require_relative "abort_check"
require_relative "answer_checksum_check"
require_relative "bucket_check"
require_relative "checksum_check"
require_relative "clock_check"
require_relative "endpoint_check"
require_relative "examined_service"
require_relative "folder_check"
require_relative "key_check"
require_relative "permission_checks"
require_relative "public_check"
require_relative "recovery_check"
require_relative "rotation_check"
require_relative "round_trip_checks"
require_relative "segment_map_check"
require_relative "settings_check"
require_relative "several_deletes_check"
require_relative "versioning_check"

module EncryptedS3Service
  class Doctor
    # All checks of one service. Each check relies only on the ones before it.
    # @api private
    class Examination
      # Checks of the store. All of them run.
      STORE = [ChecksumCheck, AnswerChecksumCheck, PutCheck, GetCheck, ListCheck, AbortCheck, PublicCheck,
               SmallRoundTripCheck, MultipartRoundTripCheck, RecoveryCheck, RotationCheck, SegmentMapCheck,
               SeveralDeletesCheck, DeleteCheck, VersioningCheck].freeze
      # Checks of a folder that is used instead of a bucket.
      FOLDER = [SmallRoundTripCheck, MultipartRoundTripCheck, RecoveryCheck, RotationCheck, SegmentMapCheck,
                SeveralDeletesCheck].freeze
      LIFECYCLE = "add a rule to the bucket that aborts incomplete uploads (AbortIncompleteMultipartUpload): a " \
                  "killed process leaves its parts behind"
      private_constant :STORE, :FOLDER, :LIFECYCLE

      # @param service [ExaminedService]
      def initialize(service)
        @service = service
      end

      # @yieldparam finding [Finding] as soon as it is known
      # @return [void]
      def each(&)
        run([SettingsCheck, KeyCheck], &)
        return unless @service.usable?

        @service.root ? examine_folder(&) : examine_bucket(&)
      ensure
        report_leftovers(&)
      end

      private

      def examine_folder(&)
        run(FOLDER, &) if run([FolderCheck], &)
      end

      def examine_bucket(&)
        return unless run([EndpointCheck], &)

        # A wrong clock does not end the run, because the next check shows whether the store refuses it.
        run([ClockCheck], &)
        return unless run([BucketCheck], &)

        run(STORE, &)
        yield Finding.new(:hint, "lifecycle", LIFECYCLE)
      end

      # @return [Boolean] whether none of them failed
      def run(checks, &)
        checks.flat_map { |check| Array(check.new(@service).call).each(&) }.none?(&:failed?)
      end

      def report_leftovers
        left = @service.clean_up
        return if left.empty?

        yield Finding.new(:warning, "probes", "could not be deleted. Delete them by hand: #{left.join(", ")}")
      end
    end
  end
end
