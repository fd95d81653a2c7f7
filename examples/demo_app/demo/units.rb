# frozen_string_literal: true

module Demo
  # Formats numbers for reading.
  module Units
    MEGABYTE = 1_000_000.0
    private_constant :MEGABYTE

    module_function

    # @return [String]
    def bytes(count)
      return "#{exact(count)} bytes" if count < 1000

      count < MEGABYTE ? "#{(count / 1000.0).round(1)} kB" : "#{(count / MEGABYTE).round(1)} MB"
    end

    # @return [String] with separators of thousands
    def exact(count) = count.to_s.gsub(/(?<=\d)(?=(\d{3})+\z)/, ",")

    # @return [String]
    def time(seconds) = seconds < 1 ? "#{(seconds * 1000).round} ms" : "#{seconds.round(2)} s"

    # @return [String, nil] nil if too few bytes were moved for a useful speed
    def speed(bytes, seconds)
      "#{(bytes / MEGABYTE / seconds).round} MB/s" if bytes >= MEGABYTE && seconds.positive?
    end
  end
end
