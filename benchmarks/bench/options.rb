# frozen_string_literal: true

require "optparse"

module Bench
  # The command line options.
  class Options
    SERVERS = %w[memory line rails seaweedfs].freeze

    # @return [Array<String>] a part of SERVERS
    attr_reader :servers

    # @return [Regexp, nil] only works with matching titles are done
    attr_reader :only

    # @return [Boolean] whether the results are saved for `--join`
    attr_reader :part

    # @return [Boolean] whether nothing is measured, and the saved parts are reported together
    attr_reader :join

    # @param arguments [Array<String>]
    # @raise [OptionParser::ParseError]
    def initialize(arguments)
      @servers = SERVERS
      @quick = @part = @join = false
      rest = parser.parse(arguments)
      raise OptionParser::NeedlessArgument, rest.first unless rest.empty?
    end

    # @return [Boolean] small files and few rounds, to test the benchmark
    def quick? = @quick

    # @return [Boolean] whether the results are complete, and replace the published ones
    def complete? = !quick? && (join || (only.nil? && servers == SERVERS))

    private

    def parser
      OptionParser.new do |options|
        options.banner = "usage: bin/bench [options]"
        options.on("--server NAMES", Array, "of #{SERVERS.join(", ")}; default: all of them") do |names|
          @servers = names.each { |name| SERVERS.include?(name) || raise(OptionParser::InvalidArgument, name) }
        end
        options.on("--latency", "the same as --server line") { @servers = ["line"] }
        options.on("--quick", "smaller files and fewer rounds, to test the benchmark") { @quick = true }
        options.on("--part", "save the results for --join") { @part = true }
        options.on("--join", "report the results that were saved with --part") { @join = true }
        options.on("--only PATTERN", Regexp, "only works with matching titles, such as '1 KiB|GiB up'") do |pattern|
          @only = pattern
        end
      end
    end
  end
end
