# frozen_string_literal: true

module Soak
  # Regular measurements of the workers of a cluster.
  class Samples
    # The measurements: unit, and permitted increase from the first third to the last, as a share and absolute.
    SERIES = {
      resident_set: ["MiB", 0.10, 24], descriptors: ["", 0.10, 6], threads: ["", 0.10, 3], connections: ["", 0.10, 6]
    }.freeze
    # TCP connections in use, see proc(5).
    ESTABLISHED = "01"
    private_constant :ESTABLISHED

    # @return [Array<Float>] seconds from the beginning
    attr_reader :times

    # @param pids [Array<Integer>] of the workers
    # @param store_port [Integer] connections to it are counted
    def initialize(pids, store_port)
      @pids = pids
      @port = format("%<port>04X", port: store_port)
      @times = []
      @values = SERIES.keys.product(pids).to_h { |series, pid| [[series, pid], []] }
      @began = now
    end

    # Takes one sample of every worker.
    def take
      @times << (now - @began)
      inodes = store_connections
      @pids.each do |pid|
        targets = descriptors(pid)
        add(pid, resident_set: resident(pid), descriptors: targets.size,
                 threads: File.read("/proc/#{pid}/status")[/^Threads:\s*(\d+)/, 1].to_i,
                 connections: targets.count { |target| inodes.include?(target) })
      end
    end

    # @return [Array<Array<Float>>] values of one series, a list for each worker
    def of(series) = @pids.map { |pid| @values.fetch([series, pid]) }

    # @param besides [Integer] additional MiB by which the resident set may grow, while the allocator still grows
    # @return [Array<String>] a message for each series that grew too much
    def grown(besides: 0)
      SERIES.flat_map do |series, (unit, share, number)|
        number += besides if series == :resident_set
        of(series).each_with_index.filter_map do |values, worker|
          first, last = thirds(values)
          next if last <= (first * (1 + share)) + number

          "#{series} of worker #{worker + 1}: #{first.round} #{unit} in the first third, #{last.round} in the last"
        end
      end
    end

    # @return [Array(Float, Float)] means of the first and the last third
    def thirds(values)
      third = [values.size / 3, 1].max
      [values.first(third), values.last(third)].map { |part| part.sum.to_f / part.size }
    end

    private

    def add(pid, numbers) = numbers.each { |series, number| @values.fetch([series, pid]) << number }

    def resident(pid) = File.read("/proc/#{pid}/status")[/^VmRSS:\s*(\d+)/, 1].to_i / 1024.0

    def descriptors(pid)
      Dir.children("/proc/#{pid}/fd").filter_map do |name|
        File.readlink("/proc/#{pid}/fd/#{name}")
      rescue Errno::ENOENT
        nil
      end
    end

    # @return [Array<String>] connections to the store, in the form of the links in /proc/self/fd
    def store_connections
      File.readlines("/proc/net/tcp").drop(1).map(&:split)
          .select { |line| line[2].end_with?(":#{@port}") && line[3] == ESTABLISHED }
          .map { |line| "socket:[#{line[9]}]" }
    end

    def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)
  end
end
