# frozen_string_literal: true

require "optparse"

module Bench
  # The options of the command line.
  class Options
    SERVERS = %w[memory line rails seaweedfs].freeze

    # @return [Array<String>] of SERVERS
    attr_reader :servers

    # @return [Regexp, nil] works whose titles match are done
    attr_reader :only

    # @return [Boolean] whether the results are added to earlier ones with this option
    attr_reader :part

    # @return [Boolean] whether nothing is measured, and the parts are reported together
    attr_reader :join

    # @param arguments [Array<String>]
    # @raise [OptionParser::ParseError]
    def initialize(arguments)
      @servers = SERVERS
      @quick = @part = @join = false
      rest = parser.parse(arguments)
      raise OptionParser::NeedlessArgument, rest.first unless rest.empty?
    end

    # @return [Boolean] small files and few rounds, to see that it works
    def quick? = @quick

    # @return [Boolean] everything is done, so that the results are worth keeping
    def complete? = !quick? && (join || (only.nil? && servers == SERVERS))

    private

    def parser
      OptionParser.new do |options|
        options.banner = "usage: bin/bench [options]"
        options.on("--server NAMES", Array, "of #{SERVERS.join(", ")}; default: all of them") do |names|
          @servers = names.each { |name| SERVERS.include?(name) || raise(OptionParser::InvalidArgument, name) }
        end
        options.on("--latency", "the same as --server line") { @servers = ["line"] }
        options.on("--quick", "smaller files and fewer rounds, to see that it works") { @quick = true }
        options.on("--part", "measure a part of everything, and keep it for --join") { @part = true }
        options.on("--join", "report what was measured with --part") { @join = true }
        options.on("--only PATTERN", Regexp, "only works whose titles match, such as '1 KiB|GiB up'") do |pattern|
          @only = pattern
        end
      end
    end
  end
end
