# frozen_string_literal: true

require_relative "../rotation"
require_relative "../task_run/environment"
require_relative "audit"
require_relative "service_selection"
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
      # @raise [ConfigurationError] when what it is told makes no sense
      # @raise [KeyDestroyedError] when the one service it is told has no key
      def rotate
        options = { **common, reencrypt: @environment.switch("REENCRYPT"), dry_run: @environment.switch("DRY_RUN") }
        failed = each_service do |name|
          tally = Rotation.new(name, **options).run
          @report.rotation(tally, dry_run: options[:dry_run])
          tally.failures.empty?
        end
        mention_untracked
        !failed
      end

      # @return [Boolean] whether every object is there, encrypted and could be looked at
      # @raise (see #rotate)
      def audit
        options = common
        !each_service do |name|
          audit = Audit.new(name, **options).run
          @report.audit(audit)
          audit.well?
        end
      end

      private

      def common
        { concurrency: @environment.concurrency(CONCURRENCY), rate: @environment.rate("RATE"), output: @output }
      end

      # @return [Boolean] whether something failed
      def each_service(&)
        names = ServiceSelection.new(@environment.text("SERVICE"))
        @report.services(names)
        results = names.encrypted.map(&)
        names.unknown.any? || !results.all?
      end

      def mention_untracked
        return if ActiveStorage.track_variants

        @output.puts("Variants have no rows here (config.active_storage.track_variants) and are not rotated. Before " \
                     "an old key is taken away, delete them, so that they are made anew: " \
                     "service.delete_prefixed(\"variants/\")")
      end
    end
  end
end
