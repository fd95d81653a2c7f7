# frozen_string_literal: true

module EncryptedS3Service
  module TaskRun
    # Lets threads pass so many times a second, all of them together, at even distances.
    # @api private
    class RateLimit
      # @param rate [Numeric, nil] passes a second; nil lets all pass at once
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

      # Time that went by unused is not made up for.
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
