# frozen_string_literal: true

require_relative "work"

module Bench
  # Everything that is done.
  module Works
    # A round's length and how many there are; the largest files need no more than three of theirs.
    SHORT = { seconds: 0.1, rounds: 2 }.freeze
    LONG = { seconds: 0.4, rounds: 5 }.freeze
    LARGEST = { seconds: 0.6, rounds: 3 }.freeze
    private_constant :SHORT, :LONG, :LARGEST

    module_function

    # @param quick [Boolean]
    # @param opens [Boolean] whether `open` is anything else than downloading in chunks
    # @return [Array<Work>]
    def all(quick:, opens:)
      length = quick ? SHORT : LONG
      small(length) + files(quick, opens) + [Work.new(kind: :range, size: LARGE, threads: 1, **length)]
    end

    # @api private
    def small(length)
      sizes = [1 << 10, 64 << 10]
      [1, 8].product(sizes, %i[upload download]).map do |threads, size, kind|
        Work.new(kind: kind, size: size, threads: threads, **length)
      end
    end

    # @api private
    def files(quick, opens)
      sizes = { LARGE => LONG, 256 << 20 => LARGEST, 1 << 30 => LARGEST }
      sizes = { LARGE => SHORT, 64 << 20 => SHORT } if quick
      kinds = opens ? %i[upload download open] : %i[upload download]
      sizes.to_a.product(kinds).map do |(size, length), kind|
        Work.new(kind: kind, size: size, threads: 1, **length)
      end
    end
  end
end
