# frozen_string_literal: true

require "fileutils"
require "socket"
require "tmpdir"
require_relative "base"

module S3Server
  # A server that this process starts. A subclass defines its processes.
  class Embedded < Base
    # Another program took one of the ports before the server could use it.
    class PortTaken < Error; end

    # Below the kernel's range of ports for outgoing connections, so that only another server can take one.
    PORTS = (20_000..32_000)

    # Reads process groups and paths from a pipe. When the pipe is closed, however this process has died, it kills the
    # groups and removes the paths. It ignores Ctrl-C, so that it does not end first.
    WATCHDOG = <<~SH
      trap '' HUP INT TERM
      groups=
      while read -r line; do
        case $line in /*) set -- "$@" "$line" ;; *) groups="$groups -$line" ;; esac
      done
      [ -z "$groups" ] || kill -s KILL -- $groups 2>/dev/null
      rm -rf -- "$@"
    SH
    private_constant :PORTS, :WATCHDOG

    # @return [String] the folder with its data and log
    attr_reader :dir

    def initialize(dir = nil)
      super()
      @kept_dir = dir && File.expand_path(dir)
      @secret_access_key = SecureRandom.hex(20)
      @region = "us-east-1"
      @processes = []
      @leftovers = []
    end

    # @return [self]
    def start
      @owner = Process.pid
      at_exit { stop }
      3.times do |attempt|
        start_once
        return self
      rescue PortTaken
        stop
        raise if attempt == 2
      rescue StandardError, Interrupt
        stop
        raise
      end
    end

    # Stops the server and removes its data, unless its folder was given. Does nothing in a forked child.
    def stop
      return unless @owner == Process.pid

      # Temporary data need no orderly shutdown.
      @processes.each { |process| signal(@kept_dir ? :TERM : :KILL, process) }
      # SeaweedFS closes its volumes, but then waits forever for its connections to itself.
      deadline = now + 4
      @processes.each { |process| process.join([deadline - now, 0].max) || (signal(:KILL, process) && process.join) }
      @processes.clear
      stop_watchdog
      FileUtils.rm_rf(@leftovers)
      @leftovers.clear
    end

    private

    def start_once
      start_watchdog
      @dir = @kept_dir || leave_behind(Dir.mktmpdir("s3-server-"))
      FileUtils.mkdir_p(@dir)
      @log = File.join(@dir, "server.log")
      File.write(@log, "")
      launch
      # A short timeout, because another program that took the port may never answer.
      until_ready("starting #{self.class.name}") { request("GET", "/", patience: 2) }
      # The gateway may answer before the other processes are ready, or after one of them failed for its port.
      create_bucket("s3-server-probe")
      request("DELETE", "/s3-server-probe")
    end

    # @return [Array<Integer>] free ports, all different
    def free_ports(count)
      sockets = []
      while sockets.size < count
        begin
          sockets << TCPServer.new("127.0.0.1", rand(PORTS))
        rescue Errno::EADDRINUSE, Errno::EACCES
          next
        end
      end
      sockets.map { |socket| socket.addr[1] }
    ensure
      sockets&.each(&:close)
    end

    # A program that script/install-servers installed.
    def program(server, name)
      version = `python3 --version`[/\d+\.\d+/]
      path = File.expand_path("../../../tmp/servers/#{server}-#{version}/bin/#{name}", __dir__)
      File.exist?(path) ? path : raise(Error, "#{server} is not installed; run bin/setup")
    end

    # Starts a process in a group of its own, so that Ctrl-C reaches only this process, which then stops the other.
    def run(*command, env: {})
      pid = Process.spawn(env, *command, pgroup: true, in: File::NULL, %i[out err] => [@log, "a"], chdir: @dir)
      @watchdog_pipe.puts(pid)
      @processes << Process.detach(pid)
    end

    # Registers a path that is removed after the server has ended.
    def leave_behind(path)
      @watchdog_pipe.puts(path)
      @leftovers << path
      path
    end

    def start_watchdog
      reader, @watchdog_pipe = IO.pipe
      @watchdog_pipe.sync = true
      pid = Process.spawn("sh", "-c", WATCHDOG, "s3-server-watchdog", in: reader, pgroup: true)
      @watchdog = Process.detach(pid)
      reader.close
    end

    def stop_watchdog
      return unless @watchdog

      Process.kill(:KILL, @watchdog.pid)
      @watchdog.join
      @watchdog_pipe.close
      @watchdog = nil
    end

    def signal(name, process)
      Process.kill(name, -process.pid)
      true
    rescue Errno::ESRCH
      true
    end

    def check_alive
      return if @processes.all?(&:alive?)

      clash = File.read(@log).match?(/address already in use|could not bind/i)
      give_up("#{self.class.name} ended by itself", clash ? PortTaken : Error)
    end

    def give_up(message, error = Error)
      raise error, "#{message}\n#{File.readlines(@log).last(15).join}"
    end
  end
end
