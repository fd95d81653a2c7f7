# frozen_string_literal: true

module EncryptedS3Service
  module TaskRun
    # A pool of threads that process items.
    #
    # By hand and not a `Concurrent::FixedThreadPool`: its `kill` does not wait for its threads, so that uploads under
    # way would not be aborted when a task is interrupted, and it drops a task whose thread was killed without a word.
    # @api private
    class Workers
      # Allowed numbers of threads.
      SIZES = 1..64

      # @param size [Integer] threads, one of {SIZES}
      # @raise [ConfigurationError]
      def initialize(size)
        unless size.is_a?(Integer) && SIZES.cover?(size)
          raise ConfigurationError, "CONCURRENCY must be a number from #{SIZES.min} to #{SIZES.max}."
        end

        @size = size
      end

      # @param items [Array]
      # @param step [#call] is given each item, in a thread
      # @yieldparam item [Object]
      # @yieldparam outcome [Object, StandardError] what the step returned or raised, in the caller's thread
      # @return [void]
      # @raise [Exception] what a step raised, if that ends the run (see {#fatal?})
      def each(items, step)
        waiting = Queue.new(items).close
        done = Queue.new
        threads = Array.new([@size, items.size].min) { Thread.new { work(waiting, done, step) } }
        items.size.times do
          item, outcome, killed = done.pop
          raise outcome if killed || fatal?(outcome)

          yield item, outcome
        end
      ensure
        # After an interruption: uploads under way are aborted.
        threads&.each(&:kill)&.each(&:join)
      end

      private

      # A failure that the next file would meet as well: a library that is missing, memory or stack that ran out, a
      # `throw` that nobody catches, a store that does not keep what it is told.
      def fatal?(outcome)
        return false unless outcome.is_a?(Exception)

        !outcome.is_a?(StandardError) || outcome.is_a?(UncaughtThrowError) || outcome.is_a?(NotRotatedError)
      end

      def work(waiting, done, step)
        Thread.current.report_on_exception = false
        while (item = waiting.pop)
          done << [item, outcome(step, item)]
          item = nil
        end
      ensure
        # The caller waits for one answer for each item, whatever becomes of the thread.
        done << [item, InternalError.new("A thread of the task was killed from outside."), true] if item
      end

      # Wrapped as a request is: what a step leaves behind (query cache, connections) is gone after it.
      def outcome(step, item)
        Rails.application.executor.wrap { step.call(item) }
      rescue Exception => e # rubocop:disable Lint/RescueException -- the caller raises it again
        e
      end
    end
  end
end
