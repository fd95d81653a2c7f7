# frozen_string_literal: true

require "json"
require "net/http"
require_relative "../../spec/support/s3_server"
require_relative "../../spec/support/s3_server/embedded"

module Bench
  # A server that keeps everything in memory. Real servers are slower than any of the clients with large files. On the
  # same cores, a benchmark would measure them.
  class MemoryServer < S3Server::Embedded
    # The network between a client and the server.
    #
    # - `latency`: milliseconds before each request is answered
    # - `up`, `down`: bytes per second that each connection carries to the server and back; nil is no limit
    Line = Data.define(:latency, :up, :down) do
      # The values that Amazon's transfer manager for Rust assumes (awslabs/aws-s3-transfer-manager-rs: median time to
      # the first byte, and the rates of a connection).
      # @return [Line]
      def self.of_amazon = new(latency: 30, up: 20_000_000, down: 90_000_000)

      # @return [Line] as fast as the machine
      def self.none = new(latency: 0, up: nil, down: nil)
    end

    ROOT = File.expand_path("../..", __dir__)
    TARGET = File.join(ROOT, "target", "memory_server")
    private_constant :ROOT, :TARGET

    # @param discard [String, nil] bodies of keys with this prefix are discarded
    # @param line [Line]
    # @param zeros [String, nil] wrapping key in Base64, with which discarded bodies can be read again, if their
    #   plaintext was zeros
    # @return [MemoryServer] started
    def self.start(discard: nil, line: Line.none, zeros: nil)
      built = system("cargo", "build", "--release", "--locked", "--quiet", "--target-dir", TARGET,
                     "--manifest-path", File.join(ROOT, "benchmarks", "memory_server", "Cargo.toml"))
      raise S3Server::Error, "the memory server could not be built" unless built

      new(discard, line, zeros).start
    end

    # @param discard [String, nil] see {start}
    # @param line [Line]
    # @param zeros [String, nil] see {start}
    def initialize(discard = nil, line = Line.none, zeros = nil)
      super()
      @zeros = zeros
      @discard = discard
      @line = line
    end

    # @return [Hash{Symbol => Integer}] `requests`, and bytes `received` and `sent` since the start, including all heads
    def moved = JSON.parse(Net::HTTP.get(URI("#{endpoint}/-/moved")), symbolize_names: true)

    private

    def launch
      @access_key_id = SecureRandom.hex(10)
      port = free_ports(1).first
      @endpoint = "http://127.0.0.1:#{port}"
      settings = { "PORT" => port, "DISCARD" => @discard, "ACCESS_KEY_ID" => access_key_id,
                   "SECRET_ACCESS_KEY" => secret_access_key, "ZEROS" => @zeros, "LATENCY" => @line.latency,
                   "UP" => @line.up, "DOWN" => @line.down }
      run(File.join(TARGET, "release", "memory_server"),
          env: settings.to_h { |name, value| ["MEMORY_SERVER_#{name}", value&.to_s] })
    end
  end
end
