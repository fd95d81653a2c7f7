# frozen_string_literal: true

module Bench
  # What was measured on one server.
  class Results
    # What is measured, all of it the less the better.
    QUANTITIES = %i[wall cpu growth stall].freeze

    # @return [String] the server's name
    attr_reader :server

    # @return [Array<Work>]
    attr_reader :works

    # @param server [String]
    def initialize(server)
      @server = server
      @works = []
      @values = {}
    end

    # @param work [Work]
    # @param rounds [Hash{String => Array<Hash>}] by contender
    # @return [void]
    def add(work, rounds)
      @works << work
      @values[work] = rounds.transform_values do |costs|
        # What a process has grown stays with it, so only the last of its rounds tells.
        { **%i[wall cpu stall].to_h { |name| [name, median(costs.map { |cost| cost[name] })] },
          growth: costs.last[:growth] }
      end
    end

    # @param work [Work]
    # @param contender [String]
    # @param quantity [Symbol] of QUANTITIES
    # @return [Numeric] the median of the rounds; seconds per operation, or bytes
    def value(work, contender, quantity) = @values.fetch(work).fetch(contender).fetch(quantity)

    # @param work [Work]
    # @param other [String] a contender
    # @param quantity [Symbol] of QUANTITIES
    # @return [Float] ours as a multiple of the other's; below 1 ours is better
    def ratio(work, other, quantity)
      value(work, "gem", quantity).fdiv([value(work, other, quantity), Float::MIN].max)
    end

    private

    def median(numbers)
      sorted = numbers.sort
      (sorted[(sorted.size - 1) / 2] + sorted[sorted.size / 2]) / 2.0
    end
  end
end
