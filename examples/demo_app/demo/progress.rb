# frozen_string_literal: true

require_relative "units"

module Demo
  # Shows the progress and the speed of a transfer, and at the end its duration.
  class Progress
    # Cells of the bar.
    WIDTH = 28
    # Seconds between two drawings of the line.
    INTERVAL = 0.1
    # Minimum size in bytes of a transfer whose steps are printed if there is no terminal.
    LARGE = 16 << 20
    private_constant :WIDTH, :INTERVAL, :LARGE

    # @return [Float] duration in seconds, nil before the end
    attr_reader :seconds

    # @param console [Console]
    # @param name [String]
    # @param total [Integer] bytes
    def initialize(console, name, total)
      @console = console
      @name = name
      @total = total
      @started = now
      @drawn = 0
      @quarter = 0
      @bytes = 0
      at(0)
    end

    # @param bytes [Integer] more than before
    # @return [void]
    def add(bytes) = at(@bytes + bytes)

    # @param bytes [Integer] so far
    # @return [void]
    def at(bytes)
      @bytes = bytes
      @console.terminal? ? draw(bytes) : step(bytes)
    end

    # Prints the final line.
    # @param note [String, nil]
    # @return [void]
    def finish(note = nil, seconds: now - @started)
      @seconds = seconds
      @console.moving("") if @console.terminal?
      speed = Units.speed(@total, seconds)
      @console.say("  #{label} #{[Units.time(seconds).rjust(8), speed, ("(#{note})" if note)].compact.join("  ")}")
    end

    private

    def draw(bytes)
      return if now - @drawn < INTERVAL

      @drawn = now
      filled = (WIDTH * bytes / [@total, 1].max).clamp(0, WIDTH)
      @console.moving("  #{label} #{"█" * filled}#{@console.paint("░" * (WIDTH - filled), :dim)} #{state(bytes)}")
    end

    def step(bytes)
      quarter = 4 * bytes / [@total, 1].max
      return if @total < LARGE || quarter <= @quarter || quarter >= 4

      @quarter = quarter
      @console.say("  #{label} #{state(bytes)}")
    end

    def state(bytes)
      percent = format("%3<percent>d %%", percent: 100 * bytes / [@total, 1].max)
      [percent, Units.speed(bytes, now - @started)].compact.join("  ")
    end

    def label = @console.paint(@name.ljust(26), :cyan)

    def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)
  end
end
