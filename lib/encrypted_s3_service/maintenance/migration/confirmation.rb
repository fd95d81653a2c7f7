# frozen_string_literal: true

require_relative "../task_run/progress"

module EncryptedS3Service
  class Migration
    # Confirms the number of old files to delete, by `CONFIRM=number` or by typing it at a terminal.
    # @api private
    class Confirmation
      # @param number [Integer, nil] the value of `CONFIRM`
      # @param output [IO]
      # @param input [IO] used only if it is a terminal
      def initialize(number, output:, input: $stdin)
        @number = number
        @output = output
        @input = input
      end

      # @param plan [Plan]
      # @return [Boolean]
      def call(plan)
        return true if plan.count.zero?

        @output.puts("DELETE=true would delete #{plan}.")
        return true if (@number || ask) == plan.count

        @output.puts("Nothing was deleted#{", because CONFIRM=#{@number} is a different number" if @number}. " \
                     "To delete these files, run the task again with CONFIRM=#{plan.count}.")
        false
      end

      private

      def ask
        return unless @input.tty?

        @output.print("Type the number of files to delete them: ")
        @output.flush
        Integer(@input.gets.to_s.strip, 10, exception: false)
      end
    end
  end
end
