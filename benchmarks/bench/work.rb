# frozen_string_literal: true

module Bench
  # Bytes from which on a file is large.
  LARGE = 8 << 20

  # One thing that every contender does.
  #
  # - `kind`: `:upload`, `:download`, `:open` or `:range`
  # - `size`: bytes of the object
  # - `threads`: how many do it at the same time
  # - `seconds`: how long a round is at least; it is repeated until then
  # - `rounds`: how many rounds the medians are of
  Work = Data.define(:kind, :size, :threads, :seconds, :rounds) do
    # @return [String] such as "8 MiB up" or "1 KiB down, 8 threads"
    def title
      words = { upload: "#{amount} up", download: "#{amount} down", open: "#{amount} open",
                range: "64 KiB of #{amount}" }.fetch(kind)
      threads > 1 ? "#{words}, #{threads} threads" : words
    end

    # @return [Boolean] dominated by what a request costs rather than a byte
    def small? = size < LARGE

    # @return [Boolean] a whole file of some size
    def large? = !small? && kind != :range

    # @return [Boolean] the object has to be there before
    def reads? = kind != :upload

    # @return [String] the size for people
    def amount
      unit, bytes = { "GiB" => 1 << 30, "MiB" => 1 << 20, "KiB" => 1 << 10 }.find { |_, scale| size >= scale }
      "#{size / bytes} #{unit}"
    end
  end
end
