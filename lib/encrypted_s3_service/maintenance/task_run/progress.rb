# frozen_string_literal: true

require "active_support/duration"
require "active_support/number_helper"

module EncryptedS3Service
  module TaskRun
    # Shows the progress of a task: on a terminal in one line that is rewritten, otherwise in a new line every ten
    # seconds.
    #
    # `ruby-progressbar` is not used: it estimates the remaining time from one number, but here files and bytes both
    # count, and it would be one more gem in every application that stores files.
    # @api private
    class Progress
      # Seconds between two lines, on a terminal and elsewhere.
      PAUSES = { true => 0.1, false => 10 }.freeze
      # Columns of the bar.
      WIDTH = 24
      # Number of failures that are shown immediately.
      MOST_REPORTS = 100
      private_constant :PAUSES, :WIDTH, :MOST_REPORTS

      # @param bytes [Integer]
      # @return [String] such as `1.2 MB`, in English in any application
      def self.size(bytes) = ActiveSupport::NumberHelper.number_to_human_size(bytes, locale: :en)

      # @param seconds [Numeric]
      # @return [String] such as `2 hours and 5 minutes`
      def self.duration(seconds)
        parts = ActiveSupport::Duration.build(seconds.ceil).parts.first(2)
        return "0 seconds" if parts.empty?

        parts.map { |unit, number| "#{number} #{number == 1 ? unit.to_s.singularize : unit}" }.join(" and ")
      end

      # @param count [Integer]
      # @param noun [String] in the singular
      # @return [String] such as `1 file` or `340 files`
      def self.counted(count, noun = "file") = "#{count} #{noun.pluralize(count)}"

      # Keys of objects and key ids may come from others, and a terminal would obey control characters in them.
      # @param text [String]
      # @return [String] without control characters
      def self.printable(text) = text.scrub("?").gsub(/[^[:print:]]/, "?")

      # @param output [IO, nil] nil shows nothing
      def initialize(output)
        @output = output
        @terminal = output.respond_to?(:tty?) && output.tty?
        @reported = 0
      end

      # @param text [String]
      # @return [void]
      def say(text) = @output&.puts(text)

      # @param verb [String] names the action on each file
      # @param blobs [ChosenBlobs] the blobs to process, without their relatives
      # @param moving [Boolean] whether their bytes are moved, so that the time also depends on the size
      # @return [void]
      def begin(verb, blobs, moving: true)
        return unless @output

        @verb = verb
        @moving = moving
        @files, @bytes = expected(blobs)
        @seen = @done = @done_bytes = 0
        @began = @shown = now
      end

      # @param bytes [Integer] moved bytes of the finished file
      # @param files [Integer] more than 1 if a blob has several
      # @return [void]
      def add(bytes = 0, files = 1)
        return unless @output

        @seen += 1
        @done += files
        @done_bytes += bytes
        show if now - @shown >= PAUSES.fetch(@terminal)
      end

      # Counts a file that did not have to be changed.
      # @return [void]
      def skip
        @seen += 1 if @output
      end

      # @param failure [#to_s]
      # @return [void]
      def report(failure)
        return unless @output

        @seen += 1
        @reported += 1
        return if @reported > MOST_REPORTS

        @output.print("\r\e[K") if @terminal
        @output.puts("FAILED #{printable(failure.to_s)}")
        @output.puts("Further failures are counted but not shown here.") if @reported == MOST_REPORTS
      end

      # @return [void]
      def finish
        return unless @output && @began

        @output.print("\r\e[K") if @terminal
        @output.puts("#{counted(@done)}#{" (#{size(@done_bytes)})" if @moving} #{@verb} in #{duration(elapsed)}")
        @output.flush
      end

      private

      delegate :size, :duration, :counted, :printable, to: :class

      def expected(blobs)
        [blobs.count, @moving ? blobs.bytes : 0]
      end

      def show
        @shown = now
        line = "#{@done} of #{counted([@files, @seen, @done].max)}#{", #{size(@done_bytes)}" if @moving} #{@verb}, " \
               "#{rate}/s, #{duration(left)} left"
        @output.print(@terminal ? "\r\e[K#{bar} #{line}" : "#{line}\n")
        @output.flush
      end

      def rate = @moving ? size(@done_bytes / elapsed) : (@done / elapsed).round(1)

      def bar
        filled = (share * WIDTH).floor
        "[#{"=" * filled}#{" " * (WIDTH - filled)}]"
      end

      def left = elapsed * (1 - share) / share

      # With many small files the time depends on their number, with large ones on their size. The slower of the two
      # counts.
      def share
        shares = [@seen.fdiv([@files, @seen].max)]
        shares << @done_bytes.fdiv(@bytes) if @bytes.positive?
        shares.min.clamp(1e-9, 1)
      end

      def elapsed = [now - @began, 1e-3].max

      def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end
  end
end
