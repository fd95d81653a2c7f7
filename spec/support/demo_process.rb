# frozen_string_literal: true

require "open3"
require "rbconfig"

# The demo application in its own process, as `bin/demo --serve` starts it, with the S3 server of the specs.
class DemoProcess
  SCRIPT = File.expand_path("../../examples/demo_app/demo.rb", __dir__)
  # Time limit in seconds until it has started and has created its files.
  DEADLINE = 60

  # @return [String] the page's address
  attr_reader :url

  # @return [String] the bucket's name
  attr_reader :bucket

  # @yieldparam demo [DemoProcess] stopped after the block
  def self.run
    demo = new
    yield demo
  ensure
    demo&.stop
  end

  def initialize
    @in, @out, @thread = Open3.popen2e(environment, RbConfig.ruby, SCRIPT, "--serve")
    @printed = +""
    Timeout.timeout(DEADLINE) { read_until_it_listens }
  rescue Timeout::Error
    stop
    raise "The demo does not start:\n#{@printed}"
  end

  # @return [void]
  def stop
    Process.kill(:TERM, @thread.pid) if @thread.alive?
    @thread.join
    [@in, @out].each(&:close)
  end

  private

  def environment
    server = TestStore.server
    { "S3_ENDPOINT" => server.endpoint, "S3_REGION" => server.region, "S3_ACCESS_KEY_ID" => server.access_key_id,
      "S3_SECRET_ACCESS_KEY" => server.secret_access_key, "PORT" => "0", "NO_COLOR" => "1" }
  end

  def read_until_it_listens
    until (@url = @printed[/upload page is at (\S+)\. /, 1])
      line = @out.gets or raise "The demo has ended:\n#{@printed}"
      @printed << line
    end
    @bucket = @printed[/Bucket +(\S+), new/, 1]
  end
end
