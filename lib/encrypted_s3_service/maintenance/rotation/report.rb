# frozen_string_literal: true

module EncryptedS3Service
  class Rotation
    # Says what was found, in lines.
    # @api private
    class Report
      # Outcomes, in words, done and as a dry run has them.
      OUTCOMES = {
        rotated: ["rotated", "to be rotated"], current: ["under the writing key already"] * 2,
        reencrypted: ["encrypted anew", "to be encrypted anew"],
        reencrypt: ["left, since they have to be encrypted anew (REENCRYPT=true)"] * 2, missing: %w[missing missing],
        unfinished: ["uploads that were never finished"] * 2, failed: %w[failed failed]
      }.freeze
      private_constant :OUTCOMES

      # @param output [IO]
      def initialize(output)
        @output = output
      end

      # @param names [ServiceSelection]
      # @return [void]
      def services(names)
        names.keyless.each { |name| @output.puts("#{name}: skipped, its key is destroyed") }
        names.unknown.each { |name, reason| @output.puts("#{name}: FAILED: #{reason}") }
        @output.puts("No file is in an EncryptedS3 service.") if names.encrypted.empty?
      end

      # @param tally [Tally]
      # @param dry_run [Boolean]
      # @return [void]
      def rotation(tally, dry_run:)
        counts = OUTCOMES.filter_map do |outcome, words|
          count = tally.outcomes[outcome]
          "#{count} #{words[dry_run ? 1 : 0]}" if count.positive?
        end
        @output.puts("#{tally.service_name}: #{counts.empty? ? "no objects" : counts.join(", ")}")
        histogram(dry_run ? "keys now" : "keys before", tally.key_ids_before)
        histogram(dry_run ? "keys then" : "keys after", tally.key_ids_after)
        old_format(tally.old_format)
        list("failed or are missing", tally.failures)
      end

      # @param audit [Audit]
      # @return [void]
      def audit(audit)
        total = audit.key_ids.values.sum
        @output.puts("#{audit.service_name}: #{total} encrypted objects, #{audit.current} under the writing key")
        histogram("formats", audit.formats)
        histogram("keys", audit.key_ids)
        @output.puts("  #{audit.unfinished} uploads were never finished") if audit.unfinished.positive?
        list("are missing", audit.missing)
        list("have NO ENVELOPE and may be plaintext", audit.unencrypted)
        list("could not be looked at", audit.failures)
      end

      private

      def old_format(count)
        return if count.zero?

        @output.puts("  #{count} objects are V2 although new ones are V3, which another key does not change. " \
                     "REENCRYPT=true encrypts them anew: each is downloaded and uploaded.")
      end

      def histogram(title, counts)
        return if counts.empty?

        line = counts.sort_by { |name, count| [-count, name.to_s] }
                     .map { |name, count| "#{name ? printable(name) : "(none)"}: #{count}" }
        @output.puts("  #{title}: #{line.join(", ")}")
      end

      def list(title, findings)
        return if findings.empty?

        @output.puts("  #{findings.size} objects #{title}:")
        findings.each { |finding| @output.puts("    #{printable(finding.to_s)}") }
      end

      # Whoever can write to the bucket chooses the ids, and a terminal would obey some.
      def printable(text) = text.scrub("?").gsub(/[^[:print:]]/, "?")
    end
  end
end
