# frozen_string_literal: true

require_relative "../indexing"
require_relative "../migration/selection"
require_relative "../task_run/environment"
require_relative "../task_run/failure_list"
require_relative "../task_run/progress"

module EncryptedS3Service
  class Indexing
    # The task `encrypted_s3_service:index`.
    # @api private
    class Command
      # Outcomes in words.
      OUTCOMES = {
        stored: "indexed", lacking: "to be indexed", present: "indexed already", small: "too small to need it",
        impossible: "in a legacy format, which has no segment maps", disabled: "skipped (`segment_index` is false)",
        missing: "missing", unfinished: "skipped (upload never finished)", failed: "failed"
      }.freeze
      private_constant :OUTCOMES

      # @param environment [Hash{String => String}]
      # @param output [IO]
      def initialize(environment, output: $stdout)
        @environment = TaskRun::Environment.new(environment)
        @output = output
      end

      # @return [Boolean] whether nothing failed
      # @raise [ConfigurationError] when an argument is wrong
      # @raise [KeyDestroyedError] when the key of the given service is destroyed
      def run
        indexing = Indexing.new(@environment.choice("SERVICE"), **arguments)
        tallies = indexing.run_all
        mention_services(indexing.selection, tallies)
        tallies.sort.each { |name, tally| @output.puts("#{name}: #{words(tally)}") }
        list(indexing.run_failures)
        @output.flush
        indexing.run_failures.count.zero? && indexing.selection.unknown.empty?
      end

      private

      def arguments
        blobs = Migration::Selection.blobs(scope: @environment.choice("SCOPE"),
                                           attachment: @environment.choice("ATTACHMENT"))
        { blobs: @environment.retried(blobs), dry_run: @environment.switch("DRY_RUN"),
          concurrency: @environment.concurrency(CONCURRENCY), rate: @environment.rate("RATE"),
          failures: @environment.text("FAILURES"), output: @output }
      end

      def mention_services(selection, tallies)
        selection.keyless.sort.each { |name| @output.puts("#{name}: skipped, its key is destroyed.") }
        selection.unknown.sort.each { |name, reason| @output.puts("#{name}: FAILED: #{reason}") }
        return if tallies.any?

        @output.puts("#{selection.only || "The EncryptedS3 services"}: no large files")
      end

      def words(tally)
        OUTCOMES.filter_map do |outcome, words|
          count = tally.outcomes[outcome]
          "#{count} #{words}" if count.positive?
        end.join(", ")
      end

      def list(failures)
        count = failures.count
        title = "#{TaskRun::Progress.counted(count, "file")} could not be indexed"
        TaskRun::FailureList.new(@output).show(title, failures.of(:missing, :failed), count, file: failures.path)
      end
    end
  end
end
