# frozen_string_literal: true

require "tmpdir"

module Faults
  # Resources that a process may leave behind: connections to stores, files without a name, threads, temporary files.
  class Leaks
    # Seconds until the last background work has ended.
    PATIENCE = 10

    # @param ports [Range<Integer>] of the stores whose connections are counted
    # @param except [Integer] the port of the server itself, to which connections are kept for the next request
    def initialize(ports, except:)
      @ports = ports
      @except = except
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
      { connections: targets.intersection(connections).size,
        nameless_files: targets.count { |target| target.end_with?("(deleted)") },
        threads: Thread.list.size, temporary_files: Dir.children(Dir.tmpdir).size }
    end

    # @return [Array<String>] those from this machine to a store, as descriptors show them
    def connections
      lines = File.readlines("/proc/net/tcp").drop(1).map(&:split)
      lines.select { |line| store?(line[2][/\h+\z/].hex) }.map { |line| "socket:[#{line[9]}]" }
    end

    def store?(port) = @ports.cover?(port) && port != @except

    def target(name)
      File.readlink("/proc/self/fd/#{name}")
    rescue Errno::ENOENT
      nil
    end

    def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)
  end
end
