# frozen_string_literal: true

require "openssl"
require "tmpdir"
require_relative "memory_server"
require_relative "results"
require_relative "worker_process"
require_relative "../contenders"

module Bench
  # Has all contenders do all works on one server.
  class Runner
    BUCKET = "benchmarks"
    private_constant :BUCKET

    # @param server_name [String] "seaweedfs" or "memory"
    # @param works [Array<Work>]
    # @param progress [IO]
    def initialize(server_name, works, progress: $stderr)
      @server_name = server_name
      @works = works
      @progress = progress
      @files = {}
    end

    # @return [Results]
    def run
      server = start
      settings = server.storage_yml(BUCKET).transform_keys(&:to_sym)
      workers = Contenders::ALL.keys.to_h { |name| [name, WorkerProcess.new(name, settings)] }
      results = Results.new(@server_name)
      Dir.mktmpdir("benchmark-") do |folder|
        @folder = folder
        @works.each { |work| results.add(work, measure(work, workers)) }
      end
      results
    ensure
      workers&.each_value(&:stop)
      server&.stop
    end

    private

    def start
      server = @server_name == "memory" ? MemoryServer.start : S3Server.start(@server_name)
      server.create_bucket(BUCKET)
      server
    end

    # @return [Hash{String => Array<Hash>}] the rounds of each contender
    def measure(work, workers)
      @progress.print("#{@server_name}: #{work.title} ")
      workers.each { |name, worker| worker.begin(task(work, name)) }
      rounds = workers.transform_values { [] }
      work.rounds.times do |number|
        # Nobody is always first, or always after the same one.
        workers.keys.rotate(number).each { |name| rounds[name] << workers[name].round }
        @progress.print(".")
      end
      workers.each_value(&:finish)
      @progress.puts
      rounds
    end

    def task(work, contender)
      path, checksum = file(work.size)
      { work: work.to_h, key: "#{contender}/#{work.title.tr(" ,", "-")}", path: path, checksum: checksum }
    end

    # @return [Array(String, String)] path and checksum of a file of random bytes
    def file(size)
      @files[size] ||= begin
        path = File.join(@folder, size.to_s)
        block = Random.bytes([size, 8 << 20].min)
        File.open(path, "wb") { |file| (size / block.bytesize).times { file.write(block) } }
        [path, OpenSSL::Digest::MD5.file(path).base64digest]
      end
    end
  end
end
