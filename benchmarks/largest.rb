# frozen_string_literal: true

# Writes and reads the largest object that the format allows, 64 GiB - 32 bytes, over HTTP:
#
#   script/env bundle exec ruby -I lib benchmarks/largest.rb [BYTES]
#
# The file is sparse and the server discards the body, so that it needs neither disk nor memory. When it is read,
# the server generates the same ciphertext again. Every byte is encrypted, sent, received and checked.

require "tempfile"
require "encrypted_s3_service"
require_relative "bench/gauges"
require_relative "bench/memory_server"

module Bench
  # Runs the three steps, and prints time and memory of each.
  class Largest
    KEY = "an encryption key of 32 bytes..."
    RANGE = 64 << 10
    private_constant :KEY, :RANGE

    # @param size [Integer] bytes
    def initialize(size)
      @size = size
      @zeros = "\0".b * (5 << 20)
    end

    # @return [void]
    def run
      server = MemoryServer.start(discard: "largest/", zeros: [KEY].pack("m0"))
      server.create_bucket("largest")
      @client = EncryptedS3Service::Client.new(**server.storage_yml("largest").transform_keys(&:to_sym),
                                               encryption_key: KEY)
      step("up") { upload }
      step("64 KiB out of the middle") { middle }
      step("down") { download }
    ensure
      server&.stop
    end

    private

    def upload
      Tempfile.create("largest", binmode: true) do |file|
        file.truncate(@size)
        stored = @client.upload("largest/file", file)
        raise "#{stored[:bytes]} bytes" unless stored[:bytes] == @size
      end
    end

    def middle
      bytes = @client.download_chunk("largest/file", (@size / 2)...((@size / 2) + RANGE))
      raise "other bytes" unless bytes == @zeros.byteslice(0, RANGE)
    end

    def download
      length = 0
      @client.download("largest/file") do |chunk|
        raise "other bytes" unless chunk == @zeros.byteslice(0, chunk.bytesize)

        length += chunk.bytesize
      end
      raise "#{length} bytes" unless length == @size
    end

    def step(name)
      Gauges.forget_peak
      started = [Gauges.now, Gauges.cpu]
      yield
      seconds, computed = [Gauges.now, Gauges.cpu].zip(started).map { |after, before| (after - before).round(2) }
      puts "#{name}: #{seconds} s, CPU #{computed} s, at most #{Gauges.peak >> 20} MiB resident"
    end
  end
end

Bench::Largest.new(Integer(ARGV.fetch(0, (64 << 30) - 32))).run
