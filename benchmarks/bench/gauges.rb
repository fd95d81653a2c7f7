# frozen_string_literal: true

module Bench
  # Measures the cost of a round in this process.
  module Gauges
    # The longest time another Ruby thread had to wait beyond the millisecond it wanted to sleep.
    class Stall
      NAP = 0.001
      private_constant :NAP

      def initialize
        @longest = 0.0
        @thread = Thread.new { watch }
        # It must be in its loop before the work begins.
        sleep 0.005
        @longest = 0.0
      end

      # @return [Float] seconds
      def stop
        @done = true
        @thread.join
        @longest
      end

      private

      def watch
        before = Gauges.now
        until @done
          sleep NAP
          after = Gauges.now
          @longest = [@longest, after - before - NAP].max
          before = after
        end
      end
    end

    module_function

    # @return [Float] seconds
    def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)

    # @return [Float] seconds that all threads of this process have computed, those that Ruby does not know included
    def cpu = Process.clock_gettime(Process::CLOCK_PROCESS_CPUTIME_ID)

    # @return [Integer] bytes of memory that this process has now
    def resident = memory("VmRSS")

    # @return [Integer] the most that it ever had, or since {forget_peak}
    def peak = memory("VmHWM")

    # Linux keeps the peak unless it is told not to; where that is not allowed, the peak of booting stays in it, which
    # is little.
    # @return [void]
    def forget_peak
      File.write("/proc/self/clear_refs", "5")
    rescue SystemCallError
      nil
    end

    # @api private
    def memory(name) = Integer(File.read("/proc/self/status")[/^#{name}:\s+(\d+) kB/, 1]) * 1024
  end
end
