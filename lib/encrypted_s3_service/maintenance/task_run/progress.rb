# frozen_string_literal: true

module EncryptedS3Service
  module TaskRun
    # Says how far it is: on a terminal in one line that is written again and again, elsewhere in a line from time to
    # time.
    # @api private
    class Progress
      # Seconds between two lines, on a terminal and elsewhere.
      PAUSES = { true => 0.1, false => 10 }.freeze
      # Columns of the bar.
      WIDTH = 24
      # Units of sizes, each 1,000 times the one before.
      UNITS = %w[B kB MB GB TB PB].freeze
      private_constant :PAUSES, :WIDTH, :UNITS

      # @param output [IO, nil] nil shows nothing
      def initialize(output)
        @output = output
        @terminal = output.respond_to?(:tty?) && output.tty?
      end

      # @param text [String]
      # @return [void]
      def say(text) = @output&.puts(text)

      # @param verb [String] what happens to files
      # @param blobs [ActiveRecord::Relation] that it will happen to, relatives aside
      # @param moving [Boolean] whether their bytes are moved, so that time goes by size, too
      # @return [void]
      def begin(verb, blobs, moving: true)
        return unless @output

        @verb = verb
        @files = blobs.count
        @moving = moving
        @bytes = moving ? blobs.sum(:byte_size) : 0
        @seen = @done = @done_bytes = 0
        @began = @shown = now
      end

      # @param bytes [Integer] that were moved of a file that was dealt with
      # @return [void]
      def add(bytes = 0)
        return unless @output

        @seen += 1
        @done += 1
        @done_bytes += bytes
        show if now - @shown >= PAUSES.fetch(@terminal)
      end

      # Counts a file with which there was nothing to do.
      # @return [void]
      def skip
        @seen += 1 if @output
      end

      # @param failure [#to_s]
      # @return [void]
      def report(failure)
        return unless @output

        @seen += 1
        @output.print("\r\e[K") if @terminal
        @output.puts("FAILED #{failure}")
      end

      # @return [void]
      def finish
        return unless @output && @began

        @output.print("\r\e[K") if @terminal
        @output.puts("#{@done} files#{" (#{size(@done_bytes)})" if @moving} #{@verb} in #{duration(elapsed)}")
        @output.flush
      end

      private

      def show
        @shown = now
        line = "#{@done} of #{[@files, @seen].max} files#{", #{size(@done_bytes)}" if @moving} #{@verb}, " \
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

      # Many small files take their time by number, large ones by size; the slower of the two counts.
      def share
        shares = [@seen.fdiv([@files, @seen].max)]
        shares << @done_bytes.fdiv(@bytes) if @bytes.positive?
        shares.min.clamp(1e-9, 1)
      end

      def elapsed = [now - @began, 1e-3].max

      def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)

      def size(bytes)
        power = 0
        power += 1 while bytes >= 1000**(power + 1) && power < UNITS.size - 1
        number = bytes.fdiv(1000**power)
        "#{number.round(power.zero? || number >= 100 ? 0 : 1)} #{UNITS[power]}"
      end

      def duration(seconds)
        seconds = seconds.ceil
        return "#{seconds} s" if seconds < 100
        return "#{seconds.fdiv(60).round} min" if seconds < 7200

        "#{seconds.fdiv(3600).round} h"
      end
    end
  end
end
