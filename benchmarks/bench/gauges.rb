# frozen_string_literal: true

module Bench
  # Measures the cost of a round in this process.
  module Gauges
    # The longest time for which another Ruby thread had to wait after its sleep of one millisecond.
    class Stall
      NAP = 0.001
      private_constant :NAP

      def initialize
        @longest = 0.0
        @thread = Thread.new { watch }
        # The thread must be in its loop before the work begins.
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

    # @return [Float] CPU seconds of all threads of this process, including those that Ruby does not know
    def cpu = Process.clock_gettime(Process::CLOCK_PROCESS_CPUTIME_ID)

    # @return [Integer] bytes of memory that this process has now
    def resident = memory("VmRSS")

    # @return [Integer] the peak in bytes, since the start or since {forget_peak}
    def peak = memory("VmHWM")

    # Resets the peak. Where Linux does not permit that, the peak includes that of the start, which is small.
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
