# frozen_string_literal: true

module EncryptedS3Service
  module TaskRun
    # Threads that take ids one after another.
    # @api private
    class Workers
      # @param size [Integer] how many at once
      # @raise [ConfigurationError]
      def initialize(size)
        unless size.is_a?(Integer) && size.between?(1, 64)
          raise ConfigurationError, "CONCURRENCY must be a number from 1 to 64"
        end

        @size = size
      end

      # @param ids [Array]
      # @param step [#call] is given each id, in a thread
      # @yieldparam id [Object]
      # @yieldparam outcome [Object, StandardError] what the step returned or raised, in the caller's thread
      # @return [void]
      def each(ids, step)
        waiting = Queue.new(ids).close
        done = Queue.new
        threads = Array.new([@size, ids.size].min) { Thread.new { work(waiting, done, step) } }
        ids.size.times { yield(*done.pop) }
      ensure
        # After an interruption: uploads under way are aborted.
        threads&.each(&:kill)&.each(&:join)
      end

      private

      def work(waiting, done, step)
        while (id = waiting.pop)
          done << [id, outcome(step, id)]
        end
      end

      # Wrapped as a request is: what a step leaves behind (query cache, connections) is gone after it.
      def outcome(step, id)
        Rails.application.executor.wrap { step.call(id) }
      rescue StandardError, NotImplementedError => e
        e
      end
    end
  end
end
