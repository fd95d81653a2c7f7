# frozen_string_literal: true

require_relative "../rotation"
require_relative "../task_run/environment"
require_relative "../task_run/kept_versions"
require_relative "audit"
require_relative "report"

module EncryptedS3Service
  class Rotation
    # The tasks `encrypted_s3_service:rotate` and `encrypted_s3_service:audit`.
    # @api private
    class Command
      # @param environment [Hash{String => String}]
      # @param output [IO]
      def initialize(environment, output: $stdout)
        @environment = TaskRun::Environment.new(environment)
        @output = output
        @report = Report.new(output)
      end

      # @return [Boolean] whether nothing failed
      # @raise [ConfigurationError] when an argument is wrong
      # @raise [KeyDestroyedError] when the key of the given service is destroyed
      # @raise [NotRotatedError] when the store does not store the new envelope
      def rotate
        switches = { reencrypt: @environment.switch("REENCRYPT"), dry_run: @environment.switch("DRY_RUN"),
                     verify: @environment.switch("VERIFY") }
        rotation = Rotation.new(service, **common, **switches)
        tallies = rotation.run_all
        @report.services(rotation.selection, tallies.keys)
        @report.rotation(tallies, rotation.run_failures, dry_run: switches[:dry_run])
        mention_older_versions(tallies) unless switches[:dry_run]
        mention_untracked
        @output.flush
        rotation.run_failures.count.zero? && rotation.selection.unknown.empty?
      end

      # @return [Boolean] whether every object exists, is encrypted and could be checked
      # @raise (see #rotate)
      def audit
        audit = Audit.new(service, **common).run
        @report.services(audit.selection, audit.counts.keys)
        @report.audit(audit)
        @output.flush
        audit.well?
      end

      private

      def service = @environment.choice("SERVICE")

      def common
        { blobs: @environment.retried(TaskRun::Rows.blobs), concurrency: @environment.concurrency(CONCURRENCY),
          rate: @environment.rate("RATE"), failures: @environment.text("FAILURES"), output: @output }
      end

      def mention_older_versions(tallies)
        changed = tallies.values.select { |tally| tally.outcomes.values_at(:rotated, :reencrypted).sum.positive? }
        TaskRun::KeptVersions.among(changed.map(&:service_name)).each do |name|
          @output.puts("#{name}: the bucket keeps older versions of these files, under their former keys. " \
                       "#{TaskRun::KeptVersions::ADVICE}")
        end
      end

      def mention_untracked
        return if ActiveStorage.track_variants

        @output.puts("Variants are not tracked (config.active_storage.track_variants is false) and were not " \
                     "rotated. Delete them before you remove an old key; they are generated again: " \
                     "service.delete_prefixed(\"variants/\")")
      end
    end
  end
end
