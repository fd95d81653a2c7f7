# frozen_string_literal: true

module Bench
  # The measurements with one server.
  class Results
    # For each quantity less is better. Not every server counts the last two.
    QUANTITIES = %i[wall cpu growth stall requests moved].freeze

    # @return [String] the server's name
    attr_reader :server

    # @return [Array<Work>]
    attr_reader :works

    # @return [Hash{Work => Hash{String => Array<Hash>}}] the rounds of each work, by contender
    attr_reader :rounds

    # @param server [String]
    def initialize(server)
      @server = server
      @works = []
      @values = {}
      @rounds = {}
    end

    # @param work [Work]
    # @param rounds [Hash{String => Array<Hash>}] by contender
    # @return [void]
    def add(work, rounds)
      @works << work
      @rounds[work] = rounds
      @values[work] = rounds.transform_values do |costs|
        QUANTITIES.to_h do |name|
          values = costs.filter_map { |cost| cost[name] }
          # A process does not shrink, so only the last of its rounds counts.
          [name, name == :growth && !work.cold ? values.last : median(values)]
        end
      end
    end

    # @param work [Work]
    # @param contender [String]
    # @param quantity [Symbol] of QUANTITIES
    # @return [Numeric, nil] the median of the rounds in seconds per operation, requests, or bytes; nil if it was not
    #   measured
    def value(work, contender, quantity) = @values.fetch(work).dig(contender, quantity)

    # @param work [Work]
    # @param other [String] a contender
    # @param quantity [Symbol] of QUANTITIES
    # @return [Float, nil] ours as a multiple of the other's; below 1 ours is better
    def ratio(work, other, quantity)
      ours, theirs = ["gem", other].map { |name| value(work, name, quantity) }
      ours.fdiv([theirs, Float::MIN].max) if ours && theirs
    end

    private

    def median(numbers)
      return if numbers.empty?

      sorted = numbers.sort
      (sorted[(sorted.size - 1) / 2] + sorted[sorted.size / 2]) / 2.0
    end
  end
end
