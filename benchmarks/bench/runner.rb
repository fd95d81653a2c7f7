# frozen_string_literal: true

require "openssl"
require "tmpdir"
require_relative "memory_server"
require_relative "results"
require_relative "worker_process"
require_relative "../contenders"

module Bench
  # Measures all works of all contenders on one server.
  class Runner
    BUCKET = "benchmarks"
    private_constant :BUCKET

    # @param server_name [String] of Options::SERVERS
    # @param works [Array<Work>]
    # @param progress [IO]
    def initialize(server_name, works, progress: $stderr)
      @server_name = server_name
      @works = works
      @progress = progress
      @files = {}
      @checksums = {}
      @stored = {}
    end

    # @yieldparam results [Results] after each work
    # @return [Results]
    def run
      @server = start
      @workers = start_workers
      results = Results.new(@server_name)
      Dir.mktmpdir("benchmark-") do |folder|
        @folder = folder
        @works.each do |work|
          results.add(work, measure(work))
          yield results if block_given?
        end
      end
      results
    ensure
      @workers&.each_value(&:stop)
      @server&.stop
    end

    private

    def start
      server = case @server_name
               when "seaweedfs" then S3Server.start(@server_name)
               when "line" then MemoryServer.start(line: MemoryServer::Line.of_amazon)
               else MemoryServer.start
               end
      server.create_bucket(BUCKET)
      server
    end

    def start_workers
      settings = @server.storage_yml(BUCKET).transform_keys(&:to_sym)
      names = @works.flat_map { |work| [*work.contenders, *work.writer] }.uniq
      names.to_h { |name| [name, WorkerProcess.new(name, settings, rails: @works.first.rails?)] }
    end

    # @return [Hash{String => Array<Hash>}] the rounds of each contender
    def measure(work)
      @progress.print("#{@server_name}: #{work.title} ")
      store(work) if work.reads?
      rounds = work.cold ? cold_rounds(work) : warm_rounds(work)
      @progress.puts
      rounds
    end

    def store(work)
      work.contenders.each do |name|
        @stored[[work.key(name), work.threads]] ||= @workers[work.owner(name)].prepare(task(work, name)) || true
      end
    end

    def warm_rounds(work)
      work.contenders.each { |name| @workers[name].begin(task(work, name)) }
      rounds = in_turns(work) { |name| counted(name) }
      work.contenders.each { |name| @workers[name].finish }
      rounds
    end

    # Each round has its own process.
    def cold_rounds(work)
      in_turns(work) do |name|
        @workers[name].begin(task(work, name))
        counted(name).tap { @workers[name].finish }
      end
    end

    def in_turns(work)
      rounds = work.contenders.to_h { |name| [name, []] }
      work.rounds.times do |number|
        # The order rotates, so that no contender is always first or always after the same one.
        work.contenders.rotate(number).each { |name| rounds[name] << yield(name) }
        @progress.print(".")
      end
      rounds
    end

    # @return [Hash{Symbol => Numeric}] the cost of a round, with the bytes and requests if the server counts them
    def counted(name)
      return @workers[name].round unless @server.respond_to?(:moved)

      before = @server.moved
      cost = @workers[name].round
      requests, *bytes = @server.moved.values_at(:requests, :received, :sent)
                                .zip(before.values_at(:requests, :received, :sent))
                                .map { |after, start| (after - start).fdiv(cost[:count]) }
      { **cost, requests: requests, moved: bytes.sum }
    end

    def task(work, contender)
      path = file(work.size)
      { work: work.to_h, key: work.key(contender), path: path, checksum: checksum(path, work.digest) }
    end

    # @return [String] path of a file of random bytes
    def file(size)
      @files[size] ||= File.join(@folder, size.to_s).tap do |path|
        block = Random.bytes([size, 8 << 20].min)
        File.open(path, "wb") { |file| (size / block.bytesize).times { file.write(block) } }
      end
    end

    # @return [String] in the format of Active Storage
    def checksum(path, digest)
      @checksums[[path, digest]] ||= begin
        base64 = OpenSSL::Digest.new(digest).file(path).base64digest
        digest == "md5" ? base64 : "#{digest}:#{base64}"
      end
    end
  end
end
