# frozen_string_literal: true

require "tmpdir"

module Faults
  # What a process may leave behind: sockets, files without a name, threads, temporary files.
  class Leaks
    # Seconds until the last background work is over.
    PATIENCE = 10

    # @param known_port [Integer] connections to it are kept for the next request and are no leak
    def initialize(known_port)
      @known_port = format(":%<port>04X", port: known_port)
      @before = counts
    end

    # @return [Hash{Symbol => Integer}] how many more there are than at the beginning, if any
    def found
      deadline = now + PATIENCE
      loop do
        GC.start
        more = counts.to_h { |kind, number| [kind, number - @before[kind]] }.select { |_, number| number.positive? }
        return more if more.empty? || now > deadline

        sleep 0.1
      end
    end

    private

    def counts
      targets = Dir.children("/proc/self/fd").filter_map { |name| target(name) }
      { sockets: (targets.grep(/\Asocket:/) - known_connections).uniq.size,
        nameless_files: targets.count { |target| target.end_with?("(deleted)") },
        threads: Thread.list.size, temporary_files: Dir.children(Dir.tmpdir).size }
    end

    def known_connections
      lines = File.readlines("/proc/net/tcp").drop(1).map(&:split)
      lines.select { |line| line[2].end_with?(@known_port) }.map { |line| "socket:[#{line[9]}]" }
    end

    def target(name)
      File.readlink("/proc/self/fd/#{name}")
    rescue Errno::ENOENT
      nil
    end

    def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)
  end
end
