# frozen_string_literal: true

require "json"
require "net/http"
require "socket"
require "tmpdir"

# The dummy application in its own Puma, whose memory and connections can be measured from outside.
class PumaServer
  RACKUP = <<~'RUBY'
    require "ENVIRONMENT"
    eval(ENV.fetch("PUMA_SERVER_SETUP", ""))
    run(lambda do |request|
      next Rails.application.call(request) unless request["PATH_INFO"] == "/busy"

      GC.start
      [200, {}, [ActiveRecord::Base.connection_pool.stat[:busy].to_s]]
    end)
  RUBY
  ENVIRONMENT = File.expand_path("../dummy/config/environment", __dir__)
  # Time limit in seconds for running requests after the signal to stop.
  PATIENCE = 20

  # @param setup [String] Ruby code that runs when the application is loaded
  # @yieldparam puma [PumaServer] stopped after the block
  def self.run(threads: 16, setup: "")
    Dir.mktmpdir do |folder|
      puma = new(folder, threads, setup)
      yield puma
    ensure
      puma&.stop
    end
  end

  attr_reader :port

  def initialize(folder, threads, setup = "")
    @log = File.join(folder, "log")
    rackup = File.join(folder, "config.ru")
    File.write(rackup, RACKUP.sub("ENVIRONMENT", ENVIRONMENT))
    @pid = Process.spawn({ "TMPDIR" => folder, "PUMA_SERVER_SETUP" => setup }, "puma", "-t", "#{threads}:#{threads}",
                         "-b", "tcp://127.0.0.1:0", rackup, %i[out err] => @log)
    @port = wait_for_port
  end

  # @yieldparam http [Net::HTTP] a connection
  def connect(&) = Net::HTTP.start("127.0.0.1", @port, nil, read_timeout: 60, &)

  # Opens a connection for a raw request.
  # @return [TCPSocket]
  def socket = TCPSocket.new("127.0.0.1", @port)

  # @return [Integer] database connections in use
  def busy_connections = connect { |http| Integer(http.get("/busy").body) }

  # @return [Integer] bytes in memory now
  def resident = File.read("/proc/#{@pid}/status")[/^VmRSS:\s*(\d+)/, 1].to_i * 1024

  # @return [Integer] the most bytes in memory until now
  def peak = File.read("/proc/#{@pid}/status")[/^VmHWM:\s*(\d+)/, 1].to_i * 1024

  # @return [Integer] open connections of clients
  def visitors
    open = %w[01 08]
    File.readlines("/proc/#{@pid}/net/tcp").drop(1).count do |line|
      _number, local, _remote, state = line.split
      local.end_with?(format(":%04X", @port)) && open.include?(state)
    end
  end

  # @return [Integer] open temporary files without a name
  def temporary_files
    Dir.glob("/proc/#{@pid}/fd/*").count do |descriptor|
      File.readlink(descriptor).match?(/\(deleted\)\z/)
    rescue Errno::ENOENT
      false
    end
  end

  # Puma up to 8.0.2 may hang in its shutdown, when its signal handler writes into a pipe that is being closed
  # (puma/puma#3677). It is killed then.
  def stop
    Process.kill(:TERM, @pid)
    return if ended_within?(PATIENCE)

    Process.kill(:KILL, @pid)
    Process.wait(@pid)
  end

  private

  def ended_within?(seconds)
    deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + seconds
    until (ended = Process.wait(@pid, Process::WNOHANG))
      return false if Process.clock_gettime(Process::CLOCK_MONOTONIC) > deadline

      sleep 0.05
    end
    !ended.nil?
  end

  # Puma prints its port after it has begun to listen.
  def wait_for_port
    deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + 60
    until (port = File.exist?(@log) && File.read(@log)[%r{Listening on http://127\.0\.0\.1:(\d+)}, 1])
      late = Process.clock_gettime(Process::CLOCK_MONOTONIC) > deadline
      raise "Puma does not start:\n#{File.read(@log)}" if late || Process.wait(@pid, Process::WNOHANG)

      sleep 0.05
    end
    Integer(port)
  end
end
