# frozen_string_literal: true

require_relative "fault"
require_relative "trial"

module Faults
  # Runs the trials of several operations, many at once, because most of the time is spent waiting.
  class Survey
    # @param operations [Hash{Operation => Integer}] and their numbers
    # @param short [Boolean] whether to run only a part: every other fault, at the first or the last call, once or every
    #   time, selected by the number of the operation
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

    # When the machine is very busy, the server itself may time out or answer 500 to the requests of the trial.
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
      # The first and the last of similar calls.
      calls = Trial.calls_of(operation).group_by { |call| [call.name, call.object] }.values
                   .flat_map { |like| [like.first, like.last].uniq }
      ALL.each_with_index.flat_map do |fault, index|
        chosen(calls.select { |call| fault.affects?(call) }, index + @operations[operation])
          .map { |call, always| Trial.new(operation, call, fault, always) }
      end
    end

    # @return [Array] calls, and whether the fault happens every time
    def chosen(calls, turn)
      return calls.product([false, true]) if calls.empty? || !@short

      return [] if turn.odd?

      [[turn % 8 < 4 ? calls.first : calls.last, turn % 4 < 2]]
    end
  end
end
