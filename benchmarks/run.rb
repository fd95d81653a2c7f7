# frozen_string_literal: true

# The program behind bin/bench: compares the gem with the alternatives and writes the results. It does not judge them:
# the exit status only reports whether it could measure.

require "fileutils"
require_relative "bench/options"
require_relative "bench/parts"
require_relative "bench/report"
require_relative "bench/runner"
require_relative "bench/works"

# The comparison of this gem with other Active Storage services.
module Bench
  # Runs the measurements and writes the files.
  class Command
    ROOT = File.expand_path("..", __dir__)
    private_constant :ROOT

    # @param options [Options]
    def initialize(options)
      @options = options
    end

    # @return [void]
    def run
      # Raises Interrupt, so that the server and the workers are stopped.
      %w[TERM HUP].each { |name| Signal.trap(name) { Thread.main.raise(Interrupt) } }
      return join if @options.join

      works = @options.servers.to_h { |server| [server, chosen(server)] }.reject { |_, chosen| chosen.empty? }
      abort "bench: no work's title matches" if works.empty?
      results = works.map { |server, chosen| Runner.new(server, chosen).run { |some| keep(some) } }
      write(Report.new(results), folder)
    end

    private

    def chosen(server)
      works = Works.on(server, quick: @options.quick?)
      @options.only ? works.select { |work| work.title.match?(@options.only) } : works
    end

    def join
      expected = Options::SERVERS.to_h { |server| [server, Works.on(server, quick: false)] }
      results, missing = parts.join(expected)
      abort "bench: not measured with --part: #{missing.join(", ")}" unless missing.empty?
      write(Report.new(results), folder)
    end

    # Saved after each work, in case the run is interrupted.
    def keep(results)
      parts.keep(results) if @options.part
    end

    def parts = Parts.new(File.join(ROOT, "tmp", "benchmarks", "parts"))

    def write(report, folder)
      FileUtils.mkdir_p(folder)
      markdown = File.join(folder, "results.md")
      File.write(markdown, report.to_markdown)
      File.write(File.join(folder, "results.svg"), report.to_svg)
      puts report.to_markdown
      warn "written: #{markdown.delete_prefix("#{ROOT}/")} and results.svg"
    end

    # Only complete results replace those in the repository.
    def folder = @options.complete? ? File.join(ROOT, "benchmarks") : File.join(ROOT, "tmp", "benchmarks")
  end
end

begin
  Bench::Command.new(Bench::Options.new(ARGV)).run
rescue OptionParser::ParseError, S3Server::Error, Bench::WorkerProcess::Failed => e
  abort "bench: #{e.message}"
rescue Interrupt
  exit 130
end
