# frozen_string_literal: true

module Bench
  # Formats numbers for reading.
  module Format
    TIMES = { 1 => "s", 1e-3 => "ms", 1e-6 => "µs" }.freeze
    SIZES = { 1 << 30 => "GiB", 1 << 20 => "MiB", 1 << 10 => "KiB" }.freeze
    private_constant :TIMES, :SIZES

    module_function

    # @param name [Symbol] of Results::QUANTITIES
    # @param value [Numeric, nil]
    # @return [String]
    def quantity(name, value)
      return "–" if value.nil?

      case name
      when :growth, :moved then bytes(value)
      when :requests then ratio(value)
      else seconds(value)
      end
    end

    # @param value [Numeric]
    # @return [String] such as "1.23 ms"
    def seconds(value)
      scale, unit = TIMES.find { |least, _| value >= least } || TIMES.to_a.last
      "#{digits(value / scale)} #{unit}"
    end

    # @param value [Numeric]
    # @return [String] such as "12 MiB"
    def bytes(value)
      scale, unit = SIZES.find { |least, _| value >= least } || SIZES.to_a.last
      "#{digits(value.fdiv(scale))} #{unit}"
    end

    # @param value [Float, nil]
    # @return [String] such as "0.25"
    def ratio(value) = value ? digits(value) : "–"

    # @api private
    # @return [String] with at most three digits, or all digits of the integer part
    def digits(value)
      return value.round.to_s if value >= 100

      format(value >= 10 ? "%.1f" : "%.2f", value)
    end
  end
end
