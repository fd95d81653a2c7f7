# frozen_string_literal: true

require_relative "progress"

module EncryptedS3Service
  module TaskRun
    # Lists the failures at the end of a task.
    # @api private
    class FailureList
      # @param output [IO]
      # @param indent [String] before each line
      def initialize(output, indent: "")
        @output = output
        @indent = indent
      end

      # @param title [String]
      # @param failures [Enumerable<#to_s>] the failures in memory
      # @param count [Integer] number of all failures
      # @param file [String, nil] the path of the file with all of them
      # @return [void]
      def show(title, failures, count, file: nil)
        return if count.zero?

        shown = failures.map { |failure| Progress.printable(failure.to_s) }
        @output.puts("#{@indent}#{title}:", shown.map { |line| "#{@indent}  #{line}" })
        left = count - shown.size
        rest = file ? "See #{file}." : "FAILURES=path writes all of them to a file."
        @output.puts("#{@indent}  and #{left} more. #{rest}") if left.positive?
      end
    end
  end
end
