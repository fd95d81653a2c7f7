# frozen_string_literal: true

require_relative "abort_check"
require_relative "bucket_check"
require_relative "checksum_check"
require_relative "clock_check"
require_relative "endpoint_check"
require_relative "examined_service"
require_relative "key_check"
require_relative "permission_checks"
require_relative "public_check"
require_relative "round_trip_checks"
require_relative "settings_check"

module EncryptedS3Service
  class Doctor
    # All checks of one service, in an order in which each needs no more than the ones before it have shown.
    # @api private
    class Examination
      # When one of these fails there is no point in those that follow it.
      FIRST = [[SettingsCheck, KeyCheck], [EndpointCheck], [ClockCheck], [BucketCheck]].freeze
      # These follow, whatever each of them finds.
      REST = [ChecksumCheck, PutCheck, GetCheck, ListCheck, AbortCheck, PublicCheck, SmallRoundTripCheck,
              MultipartRoundTripCheck, DeleteCheck].freeze
      LIFECYCLE = "give the bucket a rule that ends incomplete multipart uploads (AbortIncompleteMultipartUpload): a " \
                  "process that is killed leaves its parts behind"
      private_constant :FIRST, :REST, :LIFECYCLE

      # @param service [ExaminedService]
      def initialize(service)
        @service = service
      end

      # @yieldparam finding [Finding] as soon as it is known
      # @return [void]
      def each(&)
        return unless FIRST.all? { |checks| run(checks, &) }

        run(REST, &)
        yield Finding.new(:hint, "lifecycle", LIFECYCLE)
      ensure
        report_leftovers(&)
      end

      private

      # @return [Boolean] whether none of them failed, but for the clock: what the store makes of it is seen next
      def run(checks, &)
        findings = checks.flat_map { |check| Array(check.new(@service).call).each(&) }
        findings.none? { |finding| finding.failed? && finding.subject != "clock" }
      end

      def report_leftovers
        left = @service.clean_up
        return if left.empty?

        yield Finding.new(:warning, "probes", "could not be removed, remove them by hand: #{left.join(", ")}")
      end
    end
  end
end
