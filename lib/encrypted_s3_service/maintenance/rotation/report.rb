# frozen_string_literal: true

require_relative "../task_run/failure_list"
require_relative "../task_run/progress"

module EncryptedS3Service
  class Rotation
    # Prints the results of a task.
    # @api private
    class Report
      # Outcomes in words, of a run and of a dry run.
      OUTCOMES = {
        rotated: ["rotated", "to be rotated"], current: ["under the writing key already"] * 2,
        reencrypted: ["encrypted again", "to be encrypted again"],
        reencrypt: ["left: they have to be encrypted again (REENCRYPT=true)"] * 2, missing: %w[missing missing],
        immovable: ["left: they are archived or locked"] * 2,
        unfinished: ["skipped (upload never finished)"] * 2, failed: %w[failed failed]
      }.freeze
      private_constant :OUTCOMES

      # @param output [IO]
      def initialize(output)
        @output = output
      end

      # @param selection [ServiceSelection]
      # @param found [Array<String>] names of services that have files
      # @return [void]
      def services(selection, found)
        selection.keyless.sort.each { |name| @output.puts("#{name}: skipped, its key is destroyed.") }
        selection.unknown.sort.each { |name, reason| @output.puts("#{name}: FAILED: #{reason}") }
        return if found.any?

        @output.puts(selection.only ? "#{selection.only}: no objects" : "No file is in an EncryptedS3 service.")
      end

      # @param tallies [Hash{String => Tally}]
      # @param failures [TaskRun::Failures]
      # @param dry_run [Boolean]
      # @return [void]
      def rotation(tallies, failures, dry_run:)
        tallies.sort.each { |_, tally| service(tally, dry_run) }
        count = failures.count(:missing, :failed, :immovable)
        total = tallies.values.sum(&:total)
        list("#{count} of #{counted(total, "object")} could not be rotated and were not changed",
             failures, :missing, :failed, :immovable)
      end

      # @param audit [Audit]
      # @return [void]
      def audit(audit)
        audit.counts.sort.each { |name, counts| audited(name, counts) }
        failures = audit.run_failures
        { missing: "missing", unencrypted: "with NO ENVELOPE, which may be plaintext",
          failed: "that could not be checked" }.each do |kind, words|
          list("#{counted(failures.count(kind), "object")} #{words}", failures, kind)
        end
      end

      private

      def service(tally, dry_run)
        counts = OUTCOMES.filter_map do |outcome, words|
          count = tally.outcomes[outcome]
          "#{count} #{words[dry_run ? 1 : 0]}" if count.positive?
        end
        @output.puts("#{tally.service_name}: #{counts.join(", ")}") if counts.any?
        histogram(dry_run ? "keys now" : "keys before", tally.key_ids_before)
        histogram(dry_run ? "keys then" : "keys after", tally.key_ids_after)
        old_format(tally.old_format)
      end

      def audited(name, counts)
        @output.puts("#{name}: #{counted(counts.total, "encrypted object")}, #{counts.current} under the writing key")
        histogram("formats", counts.formats)
        histogram("keys", counts.key_ids)
        lacking(counts)
        return unless counts.unfinished.positive?

        @output.puts("  #{counts.unfinished} skipped (upload never finished)")
      end

      # Rotation cannot add an entry to a legacy object, nor to one whose envelope is in a file.
      def lacking(counts)
        task = counts.formats.keys.intersect?(["v1", "instruction file"]) ? "rotate REENCRYPT=true" : "rotate"
        if counts.unbound.positive?
          @output.puts("  not bound to their keys: #{counts.unbound} (`place_binding: require` refuses them; " \
                       "`#{task}` binds them)")
        end
        return unless counts.unrecoverable.positive?

        @output.puts("  not for the recovery keys: #{counts.unrecoverable} (`#{task}` adds the entry)")
      end

      def old_format(count)
        return if count.zero?

        @output.puts("  #{counted(count, "object")} in format V2, while new ones are V3. A new key does not change " \
                     "that. REENCRYPT=true encrypts them again: each is downloaded and uploaded.")
      end

      def histogram(title, counts)
        return if counts.empty?

        line = counts.sort_by { |name, count| [-count, name.to_s] }
                     .map { |name, count| "#{name ? TaskRun::Progress.printable(name) : "(none)"}: #{count}" }
        @output.puts("  #{title}: #{line.join(", ")}")
      end

      def list(title, failures, *kinds)
        TaskRun::FailureList.new(@output).show(title, failures.of(*kinds), failures.count(*kinds), file: failures.path)
      end

      def counted(...) = TaskRun::Progress.counted(...)
    end
  end
end
