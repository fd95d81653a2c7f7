# frozen_string_literal: true

require_relative "../../spec/support/s3_server"
require_relative "../../spec/support/s3_server/embedded"

module Bench
  # The server that keeps everything in memory. Real servers are slower than any of the clients with large files, and
  # with both on the same cores it would be they that are measured.
  class MemoryServer < S3Server::Embedded
    ROOT = File.expand_path("../..", __dir__)
    TARGET = File.join(ROOT, "target", "memory_server")
    private_constant :ROOT, :TARGET

    # @param discard [String, nil] bodies of keys that begin so are thrown away
    # @return [MemoryServer] started
    def self.start(discard: nil)
      built = system("cargo", "build", "--release", "--locked", "--quiet", "--target-dir", TARGET,
                     "--manifest-path", File.join(ROOT, "benchmarks", "memory_server", "Cargo.toml"))
      raise S3Server::Error, "the memory server could not be built" unless built

      new(discard).start
    end

    # @param discard [String, nil] see {start}
    def initialize(discard = nil)
      super()
      @discard = discard
    end

    private

    def launch
      @access_key_id = SecureRandom.hex(10)
      port = free_ports(1).first
      @endpoint = "http://127.0.0.1:#{port}"
      settings = { "PORT" => port.to_s, "DISCARD" => @discard,
                   "ACCESS_KEY_ID" => access_key_id, "SECRET_ACCESS_KEY" => secret_access_key }
      run(File.join(TARGET, "release", "memory_server"),
          env: settings.transform_keys { |name| "MEMORY_SERVER_#{name}" })
    end
  end
end
