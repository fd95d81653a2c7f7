# frozen_string_literal: true

require "tmpdir"

module Faults
  # Resources that a process may leak: connections to stores, files without a name, threads, temporary files.
  class Leaks
    # Seconds until the last background work has ended.
    PATIENCE = 10

    # @param ports [Range<Integer>] of the stores whose connections are counted
    # @param except [Integer] the port of the server itself, whose connections are reused
    def initialize(ports, except:)
      @ports = ports
      @except = except
      @before = counts
    end

    # Trials by the ports of their stores, so that a leaked connection can be assigned to its trial.
    # @return [Hash{Integer => String}]
    def self.trials = @trials ||= {}

    # @param kinds [Array<Symbol>] of the resources to look for
    # @param patience [Numeric] seconds to wait for the end of background work
    # @return [Hash{Symbol => Integer, Array<String>}] how many more there are than at the beginning, if any; for
    #   connections a description of each
    def found(*kinds, patience: PATIENCE)
      kinds = @before.keys if kinds.empty?
      deadline = now + patience
      loop do
        GC.start
        more = counts.slice(*kinds).to_h { |kind, number| [kind, number - @before[kind]] }
        more.select! { |_, number| number.positive? }
        return more if more.empty?
        return more.key?(:connections) ? { **more, connections: described } : more if now > deadline

        sleep 0.1
      end
    end

    private

    def counts
      targets = descriptors
      { connections: targets.intersection(connections).size,
        nameless_files: targets.count { |target| target.end_with?("(deleted)") },
        threads: Thread.list.size, temporary_files: Dir.children(Dir.tmpdir).size }
    end

    # @return [Array<String>] connections to a store, in the form of the links in /proc/self/fd
    def connections = lines.map { |line| "socket:[#{line[9]}]" }

    # @return [Array<Array<String>>] rows of the kernel's table, see proc(5)
    def lines
      File.readlines("/proc/net/tcp").drop(1).map(&:split).select { |line| store?(port(line[2])) }
    end

    def described
      own = descriptors
      lines.select { |line| own.include?("socket:[#{line[9]}]") }.map do |line|
        "from #{port(line[1])} to #{port(line[2])}, state #{line[3]}: #{self.class.trials[port(line[2])]}"
      end
    end

    def port(address) = address[/\h+\z/].hex

    def descriptors = Dir.children("/proc/self/fd").filter_map { |name| target(name) }

    def store?(port) = @ports.cover?(port) && port != @except

    def target(name)
      File.readlink("/proc/self/fd/#{name}")
    rescue Errno::ENOENT
      nil
    end

    def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)
  end
end
