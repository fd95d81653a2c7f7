# frozen_string_literal: true

require "open3"
require "rbconfig"
require "timeout"
require_relative "bounded_programs"

# A separate Ruby process that runs code with the gem, for effects that must not happen in the process of the specs. The
# code has its arguments as the Array `input`, and exchanges lines with the spec on `$stdin` and `$stdout`.
class RubyProcess
  LIBRARY = File.expand_path("../../lib", __dir__)
  PRELUDE = <<~'RUBY'
    require "stringio"
    require "encrypted_s3_service"
    $stdout.sync = true
    input = Marshal.load($stdin.binmode)
  RUBY

  # Runs the code and waits for its end.
  # @return [Array(String, Process::Status)] output and exit status
  def self.run(code, *input) = start(code, *input, &:result)

  # @yieldparam process [RubyProcess] killed after the block
  def self.start(code, *input)
    process = new(code, *input)
    yield process
  ensure
    process&.stop
  end

  def initialize(code, *input)
    @in, @out, @thread = Open3.popen2e(RbConfig.ruby, "-rbundler/setup", "-I", LIBRARY, "-e", PRELUDE + code)
    @in.binmode.write(Marshal.dump(input))
  end

  # @return [String, nil] the next line of its output, nil at its end
  def line = @out.gets&.chomp

  # Sends a line to the process.
  def tell(line = "") = @in.puts(line)

  def signal(name) = Process.kill(name, @thread.pid)

  # Waits for the end of the process.
  # @param within [Numeric, nil] seconds; nil waits as long as the example may take
  # @return [Array(String, Process::Status)] the unread output, and the exit status
  # @raise [Timeout::Error] when it has not ended by then
  def result(within: nil)
    Timeout.timeout(within, Timeout::Error, "The process still runs.") { [@out.read, @thread.value] }
  end

  def stop
    BoundedPrograms.kill(@thread)
    @thread.join
    [@in, @out].each(&:close)
  end
end
