# frozen_string_literal: true

require "fileutils"
require "socket"
require "tmpdir"

# A real nginx in front of an application, with the configuration from the documents.
class Nginx
  SNIPPET = File.expand_path("../../docs/nginx.conf", __dir__)
  PROGRAM = ["/usr/sbin/nginx", *ENV["PATH"].split(":").map { |folder| File.join(folder, "nginx") }]
            .find { |path| File.executable?(path) }

  # @return [String, nil] why it cannot run here
  def self.missing = ("nginx is not installed" unless PROGRAM)

  # @param backend [Integer] the application's port
  # @param snippet [String] the content of the `server` block
  # @yieldparam nginx [Nginx] stopped after the block
  def self.run(backend, snippet: File.read(SNIPPET))
    Dir.mktmpdir("nginx-") do |folder|
      nginx = new(folder, backend, snippet)
      yield nginx
    ensure
      nginx&.stop
    end
  end

  attr_reader :port

  def initialize(folder, backend, snippet)
    @folder = folder
    @port = TCPServer.open("127.0.0.1", 0) { |server| server.addr[1] }
    FileUtils.mkdir_p(kept.values)
    File.write(File.join(folder, "nginx.conf"), configuration(backend, snippet))
    @pid = Process.spawn(PROGRAM, "-p", folder, "-c", File.join(folder, "nginx.conf"),
                         "-e", File.join(folder, "errors"), %i[out err] => File.join(folder, "log"))
    wait_until_ready
  end

  # @return [Hash{Symbol => String}] folders for the requests and answers that nginx buffers
  def kept = %i[bodies answers].to_h { |name| [name, File.join(@folder, name.to_s)] }

  # nginx unlinks its temporary files as soon as they are open.
  # @return [Integer] bytes of requests and answers in its temporary files now
  def bytes_in_files
    workers = File.read("/proc/#{@pid}/task/#{@pid}/children").split
    workers.flat_map { |worker| Dir.glob("/proc/#{worker}/fd/*") }.sum do |descriptor|
      kept.values.any? { |folder| File.readlink(descriptor).start_with?(folder) } ? File.stat(descriptor).size : 0
    rescue Errno::ENOENT
      0
    end
  end

  def socket = TCPSocket.new("127.0.0.1", port)

  def connect(&) = Net::HTTP.start("127.0.0.1", port, nil, read_timeout: 120, &)

  def stop
    Process.kill(:TERM, @pid)
    Process.wait(@pid)
  end

  private

  def configuration(backend, snippet)
    <<~NGINX
      daemon off;
      #{"user root;" if Process.uid.zero?}
      worker_processes 1;
      pid nginx.pid;
      events {}
      http {
        access_log off;
        client_body_temp_path #{kept[:bodies]};
        proxy_temp_path #{kept[:answers]};
        fastcgi_temp_path other; uwsgi_temp_path other; scgi_temp_path other;
        upstream application { server 127.0.0.1:#{backend}; }
        server {
          listen 127.0.0.1:#{port};
          #{snippet}
          location / { proxy_pass http://application; }
        }
      }
    NGINX
  end

  def wait_until_ready
    deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + 20
    begin
      socket.close
    rescue Errno::ECONNREFUSED
      gone = Process.wait(@pid, Process::WNOHANG)
      late = Process.clock_gettime(Process::CLOCK_MONOTONIC) > deadline
      raise "nginx does not start: #{File.read(File.join(@folder, "errors"))}" if gone || late

      sleep 0.05
      retry
    end
  end
end
