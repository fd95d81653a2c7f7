# frozen_string_literal: true

require_relative "abort_check"
require_relative "answer_checksum_check"
require_relative "bucket_check"
require_relative "checksum_check"
require_relative "clock_check"
require_relative "endpoint_check"
require_relative "examined_service"
require_relative "key_check"
require_relative "permission_checks"
require_relative "public_check"
require_relative "rotation_check"
require_relative "round_trip_checks"
require_relative "settings_check"
require_relative "several_deletes_check"
require_relative "versioning_check"

module EncryptedS3Service
  class Doctor
    # All checks of one service, in an order in which each needs no more than the ones before it have shown.
    # @api private
    class Examination
      # Those of the store, whatever each of them finds.
      STORE = [ChecksumCheck, AnswerChecksumCheck, PutCheck, GetCheck, ListCheck, AbortCheck, PublicCheck,
               SmallRoundTripCheck, MultipartRoundTripCheck, RotationCheck, SeveralDeletesCheck, DeleteCheck,
               VersioningCheck].freeze
      LIFECYCLE = "give the bucket a rule that ends incomplete multipart uploads (AbortIncompleteMultipartUpload): a " \
                  "process that is killed leaves its parts behind"
      private_constant :STORE, :LIFECYCLE

      # @param service [ExaminedService]
      def initialize(service)
        @service = service
      end

      # @yieldparam finding [Finding] as soon as it is known
      # @return [void]
      def each(&)
        run([SettingsCheck, KeyCheck], &)
        return unless @service.usable? && run([EndpointCheck], &)

        # What the store makes of a wrong clock is seen next.
        run([ClockCheck], &)
        return unless run([BucketCheck], &)

        run(STORE, &)
        yield Finding.new(:hint, "lifecycle", LIFECYCLE)
      ensure
        report_leftovers(&)
      end

      private

      # @return [Boolean] whether none of them failed
      def run(checks, &)
        checks.flat_map { |check| Array(check.new(@service).call).each(&) }.none?(&:failed?)
      end

      def report_leftovers
        left = @service.clean_up
        return if left.empty?

        yield Finding.new(:warning, "probes", "could not be removed. Remove them by hand: #{left.join(", ")}")
      end
    end
  end
end
