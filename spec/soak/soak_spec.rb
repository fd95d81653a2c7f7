# frozen_string_literal: true

require_relative "../rails_helper"
require_relative "../support/puma_cluster"
require_relative "../support/soak/plot"
require_relative "../support/soak/visitor"

# SOAK is the number of seconds; if it is set, docs/soak.svg is drawn.
RSpec.describe "A Puma cluster under load", patience: 3600,
                                            if: Process.respond_to?(:fork) && File.exist?("/proc/net/tcp") do
  seconds = Integer(ENV.fetch("SOAK", 20))
  # Time for every thread to load its code, and for the allocator to reach its usual size. The short form does not wait
  # for that, and detects large leaks only.
  warm_up = ENV.key?("SOAK") ? 60 : 10
  besides = ENV.key?("SOAK") ? 0 : 160

  def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)

  def visitors(cluster, deadline)
    Array.new(8) { |number| Thread.new { Soak::Visitor.new(cluster, number).run(deadline) } }
  end

  it "holds no more memory, descriptors, threads and connections at the end than at the beginning" do
    PumaCluster.run(threads: 4, setup: Soak::Visitor::SETUP) do |cluster|
      visitors(cluster, now + warm_up).each(&:join)
      samples = Soak::Samples.new(cluster.workers, URI(server.endpoint).port)
      threads = visitors(cluster, now + seconds)
      while threads.any?(&:alive?)
        samples.take
        sleep [seconds / 300.0, 0.2].max
      end
      done = threads.map { |thread| thread.value.done }.reduce { |all, one| all.merge(one) { |_, a, b| a + b } }
      draw(samples, done, seconds) if ENV.key?("SOAK")
      expect(done.keys).to contain_exactly("uploads", "downloads", "ranges", "rotate", "purge")
      expect(samples.grown(besides: besides)).to eq([])
    end
  end

  def draw(samples, done, seconds)
    title = "#{(seconds / 60.0).round(1)} minutes, 2 workers of 4 threads: " \
            "#{done.map { |what, number| "#{number} #{what}" }.join(", ")}"
    File.write(File.expand_path("../../docs/soak.svg", __dir__), Soak::Plot.new(samples, title).to_svg)
    RSpec.configuration.reporter.message("  #{title}")
    Soak::Samples::SERIES.each_key do |series|
      means = samples.of(series).map { |values| samples.thirds(values).map(&:round).join(" to ") }
      RSpec.configuration.reporter.message("  #{series}: #{means.join(" and ")}")
    end
  end
end
