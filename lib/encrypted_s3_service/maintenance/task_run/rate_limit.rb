# frozen_string_literal: true

module EncryptedS3Service
  module TaskRun
    # Limits the number of calls per second, for all threads together and at even intervals.
    # @api private
    class RateLimit
      # @param rate [Numeric, nil] calls per second; nil for no limit
      # @param clock [#call] returns seconds
      # @param sleeper [#call] waits for seconds
      def initialize(rate, clock: -> { Process.clock_gettime(Process::CLOCK_MONOTONIC) }, sleeper: ->(s) { sleep(s) })
        @pause = rate && (1.0 / rate)
        @clock = clock
        @sleeper = sleeper
        @lock = Mutex.new
      end

      # Waits for the caller's turn.
      # @return [void]
      def wait
        return unless @pause

        turn = next_turn
        left = turn - @clock.call
        @sleeper.call(left) if left.positive?
      end

      private

      # Unused time is not caught up.
      def next_turn
        @lock.synchronize do
          now = @clock.call
          turn = [@next || now, now].max
          @next = turn + @pause
          turn
        end
      end
    end
  end
end
