# frozen_string_literal: true

module EncryptedS3Service
  module TaskRun
    # A pool of threads that process items.
    #
    # `Concurrent::FixedThreadPool` is not used: its `kill` does not wait for its threads, so that running uploads would
    # not be aborted when a task is interrupted, and it silently drops a task whose thread was killed.
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
      # @param step [#call] receives each item, in a thread
      # @yieldparam item [Object]
      # @yieldparam outcome [Object, StandardError] the step's result or error, in the caller's thread
      # @return [void]
      # @raise [Exception] the error of a step, if it ends the run (see {#fatal?})
      def each(items, step)
        waiting = Queue.new(items).close
        done = Queue.new
        databases = ActiveRecord::Base.connected_to_stack.dup
        threads = Array.new([@size, items.size].min) do
          Thread.new { connected_to(databases) { work(waiting, done, step) } }
        end
        items.size.times do
          item, outcome, killed = done.pop
          raise outcome if killed || fatal?(outcome)

          yield item, outcome
        end
      ensure
        # After an interruption: running uploads are aborted.
        threads&.each(&:kill)&.each(&:join)
      end

      private

      # Whether the failure would affect all other files: a missing library, exhausted memory or stack, an uncaught
      # `throw`, a store that does not keep the new data.
      def fatal?(outcome)
        return false unless outcome.is_a?(Exception)

        !outcome.is_a?(StandardError) || outcome.is_a?(UncaughtThrowError) || outcome.is_a?(NotRotatedError)
      end

      # `connected_to` (a shard, a role) applies to one thread. Without the caller's, a step would look for its rows in
      # the default database. Rails has no public method for all classes at once.
      def connected_to(databases)
        ActiveRecord::Base.connected_to_stack.concat(databases)
        yield
      end

      def work(waiting, done, step)
        Thread.current.report_on_exception = false
        while (item = waiting.pop)
          done << [item, outcome(step, item)]
          item = nil
        end
      ensure
        # The caller waits for one answer for each item, even if the thread is killed.
        done << [item, InternalError.new("A thread of the task was killed from outside."), true] if item
      end

      # Wrapped like a request: the executor clears a step's query cache and releases its connections.
      def outcome(step, item)
        Rails.application.executor.wrap { step.call(item) }
      rescue Exception => e # rubocop:disable Lint/RescueException -- the caller raises it again
        e
      end
    end
  end
end
