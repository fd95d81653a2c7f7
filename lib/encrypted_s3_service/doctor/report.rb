# frozen_string_literal: true

module EncryptedS3Service
  class Doctor
    # Prints findings as aligned lines.
    # @api private
    class Report
      # Label of each status and its colour on a terminal (SGR).
      LOOKS = { ok: ["ok", 32], warning: ["warning", 33], hint: ["hint", 36], skipped: ["skipped", 90],
                failed: ["FAILED", 31] }.freeze

      # Characters of the subjects' column.
      WIDTH = 24
      private_constant :WIDTH

      # @return [Integer] failed findings so far
      attr_reader :failures

      # @param output [IO]
      def initialize(output)
        @output = output
        @coloured = output.tty? && ENV["NO_COLOR"].to_s.empty?
        @failures = 0
      end

      # Prints the heading of one service.
      # @param name [String]
      # @param place [String] its bucket or folder
      # @return [void]
      def service(name, place)
        write "#{paint(name, 1)}: #{place}"
      end

      # Prints the heading of the application.
      # @return [void]
      def application
        write paint("application", 1)
      end

      # @param finding [Finding]
      # @return [void]
      def add(finding)
        @failures += 1 if finding.failed?
        word, colour = LOOKS.fetch(finding.status)
        write "  #{paint(word.ljust(8), colour)} #{finding.subject.ljust(WIDTH)} #{finding.text}"
      end

      # @return [void]
      def finish
        return write paint("No check failed.", 32) if failures.zero?

        write paint("#{failures} #{failures == 1 ? "check" : "checks"} failed.", 31)
      end

      private

      def write(line)
        @output.puts(line)
        @output.flush
      end

      def paint(text, colour) = @coloured ? "\e[#{colour}m#{text}\e[0m" : text
    end
  end
end
