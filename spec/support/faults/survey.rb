# frozen_string_literal: true

require_relative "fault"
require_relative "trial"

module Faults
  # The trials of several operations, many at once: most of the time is spent waiting.
  class Survey
    # @param operations [Hash{Operation => Integer}] and their numbers
    # @param short [Boolean] whether an operation meets every other fault only, at its first or its last call, once or
    #   every time; which, depends on the number of the operation
    # @param threads [Integer]
    def initialize(operations, short:, threads:)
      @operations = operations
      @short = short
      @threads = threads
    end

    # @return [Array<Trial::Result>]
    def results
      trials = in_threads(@operations.keys) { |operation| trials_of(operation) }.flatten
      # The longest first, so that they do not run alone at the end.
      in_threads(trials.partition(&:long?).flatten) { |trial| result_of(trial) }
    end

    private

    # The server itself may not answer, or answer 500 to the trial's own questions, when the machine is very busy.
    def result_of(trial, tries = 3)
      trial.result
    rescue Net::OpenTimeout, Net::ReadTimeout, S3Server::Error
      (tries -= 1).positive? ? retry : raise
    end

    def in_threads(items)
      waiting = Queue.new(items).close
      done = Queue.new
      threads = Array.new(@threads) do
        Thread.new do
          Thread.current.report_on_exception = false
          while (item = waiting.pop)
            done << yield(item)
            ActiveRecord::Base.connection_handler.clear_active_connections!
          end
        end
      end
      threads.each(&:join)
      Array.new(done.size) { done.pop }
    end

    def trials_of(operation)
      # Of calls that are alike the first and the last.
      calls = Trial.calls_of(operation).group_by { |call| [call.name, call.object] }.values
                   .flat_map { |like| [like.first, like.last].uniq }
      ALL.each_with_index.flat_map do |fault, index|
        chosen(calls.select { |call| fault.affects?(call) }, index + @operations[operation])
          .map { |call, always| Trial.new(operation, call, fault, always) }
      end
    end

    # @return [Array] calls, and whether the fault happens always
    def chosen(calls, turn)
      return calls.product([false, true]) if calls.empty? || !@short

      return [] if turn.odd?

      [[turn % 8 < 4 ? calls.first : calls.last, turn % 4 < 2]]
    end
  end
end
