# frozen_string_literal: true

require "net/http"
require "socket"
require "tmpdir"

# The dummy application in a real Puma that forks its workers after it has loaded and used the application. Every answer
# contains the process id of its worker.
class PumaCluster
  CONFIGURATION = <<~'RUBY'
    workers 2
    threads THREADS, THREADS
    preload_app!
    silence_single_worker_warning
  RUBY

  RACKUP = <<~'RUBY'
    require "ENVIRONMENT"
    blob = ActiveStorage::Blob.service
    blob.upload("from-the-master", StringIO.new("stored before the fork"))
    raise "the master cannot read" unless blob.download("from-the-master") == "stored before the fork"

    application = Rails.application
    SETUP

    run(lambda do |request|
      status, headers, body = application.call(request)
      [status, headers.merge("x-worker" => Process.pid.to_s), body]
    end)
  RUBY
  ENVIRONMENT = File.expand_path("../dummy/config/environment", __dir__)

  # @param threads [Integer] of each of the two workers
  # @param setup [String] Ruby code that runs when the application is loaded; it may assign another Rack application to
  #   `application`
  # @yieldparam cluster [PumaCluster] stopped after the block
  def self.run(threads: 3, setup: "")
    Dir.mktmpdir do |folder|
      cluster = new(folder, threads, setup)
      yield cluster
    ensure
      cluster&.stop
    end
  end

  def initialize(folder, threads, setup)
    @folder = folder
    File.write(path("puma.rb"), CONFIGURATION.gsub("THREADS", threads.to_s))
    File.write(path("config.ru"), RACKUP.sub("ENVIRONMENT", ENVIRONMENT).sub("SETUP") { setup })
    @port = TCPServer.open("127.0.0.1", 0) { |server| server.addr[1] }
    @pid = Process.spawn("puma", "-C", path("puma.rb"), "-b", "tcp://127.0.0.1:#{@port}", path("config.ru"),
                         %i[out err] => path("log"))
    wait
  end

  # @yieldparam http [Net::HTTP] a connection
  def connect(&) = Net::HTTP.start("127.0.0.1", @port, nil, read_timeout: 60, &)

  # @return [Array<Integer>] process ids of the workers
  def workers = File.read("/proc/#{@pid}/task/#{@pid}/children").split.map(&:to_i)

  # @return [Process::Status] after all requests were answered
  def stop
    return unless @pid

    Process.kill(:TERM, @pid)
    Process.wait2(@pid).last.tap { @pid = nil }
  end

  private

  def path(name) = File.join(@folder, name)

  def wait
    deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + 60
    connect { |http| http.get("/") }
  rescue SystemCallError, EOFError
    ended = Process.wait(@pid, Process::WNOHANG)
    if ended || Process.clock_gettime(Process::CLOCK_MONOTONIC) > deadline
      @pid = nil if ended
      raise "Puma does not start:\n#{File.read(path("log"))}"
    end
    sleep 0.05
    retry
  end
end
