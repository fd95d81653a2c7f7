# frozen_string_literal: true

require_relative "../migration"
require_relative "../task_run/environment"
require_relative "../task_run/failure_list"
require_relative "../task_run/kept_versions"
require_relative "confirmation"
require_relative "selection"

module EncryptedS3Service
  class Migration
    # The task `encrypted_s3_service:migrate`.
    # @api private
    class Command
      # @param environment [Hash{String => String}]
      # @param output [IO]
      # @param input [IO] for the confirmation of deletions, if it is a terminal
      def initialize(environment, output: $stdout, input: $stdin)
        @environment = TaskRun::Environment.new(environment)
        @output = output
        @input = input
      end

      # @return [Boolean] whether nothing failed and everything requested was done
      # @raise [ConfigurationError] when an argument is missing or wrong
      def run
        result = migration.run
        mention_rows(result)
        mention_plan(result)
        mention_older_versions if result.removed.positive?
        list(result)
        # Ruby ignores errors of the last write when the process ends, for example on a full disk.
        @output.flush
        result.failed.zero? && result.confirmed
      end

      private

      def mention_rows(result)
        if result.unfinished.positive?
          @output.puts("#{counted(result.unfinished, "upload")} never finished: skipped, because there is no file.")
        end
        return unless result.corrected.positive?

        @output.puts("#{counted(result.corrected, "row")} got a corrected checksum or size.")
      end

      def mention_plan(result)
        if @environment.switch("DRY_RUN") && result.plan
          @output.puts("DELETE=true CONFIRM=#{result.plan.count} would delete #{result.plan}.")
        end
        return if result.doubtful.empty?

        @output.puts("Former keys in the metadata of #{counted(result.doubtful.size)} cannot be verified. Nothing " \
                     "was deleted for them. Blobs: #{result.doubtful.join(", ")}")
      end

      def mention_older_versions
        TaskRun::KeptVersions.among([needed("FROM")]).each do |name|
          @output.puts("#{name}: the bucket keeps older versions, and the deleted files are still among them. " \
                       "#{TaskRun::KeptVersions::ADVICE}")
        end
      end

      def list(result)
        return if result.failed.zero?

        # A run that deletes has moved some of these files, or all were moved before.
        done = [result.moved, result.removed].max
        changed = " and were not changed" unless @environment.switch("DELETE")
        title = "#{result.failed} of #{counted(done + result.failed)} failed#{changed}"
        TaskRun::FailureList.new(@output).show(title, result.failures, result.failed,
                                               file: @environment.text("FAILURES"))
        @output.puts("Fix the cause and run the task again.")
      end

      def migration
        blobs = Selection.blobs(scope: @environment.choice("SCOPE"), attachment: @environment.choice("ATTACHMENT"))
        Migration.new(from: needed("FROM"), to: needed("TO"), blobs: @environment.retried(blobs),
                      **switches, concurrency: @environment.concurrency(CONCURRENCY),
                      failures: @environment.text("FAILURES"), output: @output)
      end

      def switches
        { dry_run: @environment.switch("DRY_RUN"), delete: @environment.switch("DELETE"), confirm: confirmation,
          repair_checksums: @environment.switch("REPAIR_CHECKSUMS") }
      end

      def confirmation
        number = @environment.number("CONFIRM", 0..)
        if number && !@environment.switch("DELETE")
          raise ConfigurationError, "CONFIRM is the number of old files that DELETE=true deletes. DELETE is not set."
        end

        Confirmation.new(number, output: @output, input: @input)
      end

      def needed(name)
        @environment.text(name) or
          raise ConfigurationError, "#{name} is missing. Set it to the name of a service, for example: " \
                                    "bin/rails encrypted_s3_service:migrate FROM=amazon TO=encrypted_amazon"
      end

      def counted(...) = TaskRun::Progress.counted(...)
    end
  end
end
