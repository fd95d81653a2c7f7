# frozen_string_literal: true

# The process of a contender. It boots once, and then does each work in its own child process, without leftovers of
# other works. The child does a round for each line "round" and answers with its cost.

require "English"
require "json"
require_relative "bench/gauges"
require_relative "bench/performance"
require_relative "bench/work"
require_relative "contenders"

# Functions of a worker's process.
module Bench
  module_function

  # @param performance [Performance]
  # @return [void]
  def serve(performance)
    performance.warm_up
    GC.start
    Gauges.forget_peak
    before = Gauges.resident
    puts JSON.generate(ready: true)
    puts JSON.generate(cost(performance, before)) while $stdin.gets&.chomp == "round"
    performance.clean_up
  end

  # Numeric}] => @return [Hash{Symbol => Numeric}] count, seconds and bytes of a round => Numeric}]
  def cost(performance, memory)
    GC.start
    stall = Gauges::Stall.new
    started = [Gauges.now, Gauges.cpu]
    count = performance.round
    wall, cpu = [Gauges.now, Gauges.cpu].zip(started).map { |after, before| after - before }
    { count: count, wall: wall, cpu: cpu, stall: stall.stop, growth: [Gauges.peak - memory, 0].max }
  end

  # @return [Class] the class that does the works of this worker
  def performances(rails)
    return Performance unless rails

    require_relative "rails/performance"
    RailsPerformance
  end
end

$stdout.sync = true
contender = JSON.parse($stdin.readline, symbolize_names: true)
performances = Bench.performances(contender[:rails])
service = performances.service(contender[:name], contender[:settings])
while (line = $stdin.gets)
  task = JSON.parse(line, symbolize_names: true)
  work = Bench::Work.new(**task[:work], kind: task[:work][:kind].to_sym)
  performance = performances.new(service, work, **task.slice(:key, :path, :checksum))
  if task[:only] == "prepare"
    performance.prepare
  else
    Process.wait(fork { Bench.serve(performance) })
    exit 1 unless $CHILD_STATUS.success?
  end
  puts JSON.generate(done: true)
end
