# frozen_string_literal: true

require_relative "format"

module Bench
  # What the gem wants to reach, and whether it did.
  class Aims
    # An aim and its verdict on one server: `text`, and `misses`, which are works with what they came to.
    Verdict = Struct.new(:text, :misses)

    MEMORY = 64 << 20
    STALL = 0.010
    private_constant :MEMORY, :STALL

    # @param results [Results]
    def initialize(results)
      @results = results
    end

    # @return [Array<Verdict>] of the aims that the works say something about
    def verdicts
      [ratio("CPU of small operations at most 1/4 of the reference's", "reference", :cpu, 0.25, &:small?),
       ratio("CPU of large files at most 1/2 of the reference's", "reference", :cpu, 0.5, &:large?),
       ratio("time of large files at most 1/2 of the reference's", "reference", :wall, 0.5, &:large?),
       limit("memory grows by at most 64 MiB at any size", :growth, MEMORY),
       limit("no other thread waits longer than 10 ms", :stall, STALL),
       ratio("nothing takes longer than without encryption", "plain", :wall, 1.0) { true }].compact
    end

    private

    def ratio(text, other, quantity, most, &)
      verdict(text, @results.works.select(&)) do |work|
        ratio = @results.ratio(work, other, quantity)
        Format.ratio(ratio) if ratio > most
      end
    end

    def limit(text, quantity, most)
      verdict(text, @results.works) do |work|
        value = @results.value(work, "gem", quantity)
        Format.quantity(quantity, value) if value > most
      end
    end

    def verdict(text, works)
      return if works.empty?

      Verdict.new(text, works.to_h { |work| [work, yield(work)] }.compact)
    end
  end
end
