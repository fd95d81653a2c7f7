# frozen_string_literal: true

require "time"
require_relative "check"

module EncryptedS3Service
  class Doctor
    # Compares this machine's clock with the store's. A signature contains its time; Amazon refuses it when the clocks
    # differ by more than 15 minutes (`RequestTimeTooSkewed`), other stores sooner.
    # @api private
    class ClockCheck < Check
      SUBJECT = "clock"
      # Seconds by which the clocks may differ.
      TOLERANCE = 300
      private_constant :SUBJECT, :TOLERANCE

      # @return [Finding]
      def call
        before = Time.now
        date = service.bucket.ask_unsigned("#{service.folder}/none")[:date]
        return skipped(SUBJECT, "the store's response has no date") unless date

        judge(before + ((Time.now - before) / 2) - Time.httpdate(date))
      rescue ArgumentError
        skipped SUBJECT, "the store's response has no date"
      rescue Error
        skipped SUBJECT, "the store did not respond"
      end

      private

      # The Date header has whole seconds.
      def judge(skew)
        return ok(SUBJECT, "within a few seconds of the store's") if skew.abs <= 5
        return ok(SUBJECT, describe(skew)) if skew.abs <= TOLERANCE

        failed SUBJECT, "#{describe(skew)}: signatures are refused. Set this machine's clock (NTP)"
      end

      def describe(skew) = "#{skew.abs.round} seconds #{skew.positive? ? "ahead of" : "behind"} the store's"
    end
  end
end
