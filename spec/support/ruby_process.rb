# frozen_string_literal: true

require "open3"
require "rbconfig"
require_relative "bounded_programs"

# A separate Ruby that runs some code with the gem, for effects that the specs' own process must not have. The code has
# its argument as `input`, and `$stdin` and `$stdout` to talk with the spec.
class RubyProcess
  LIBRARY = File.expand_path("../../lib", __dir__)
  PRELUDE = <<~'RUBY'
    require "stringio"
    require "encrypted_s3_service"
    $stdout.sync = true
    input = Marshal.load($stdin.binmode)
  RUBY

  # Runs the code to its end.
  # @return [Array(String, Process::Status)] all that it printed
  def self.run(code, *input) = start(code, *input, &:result)

  # @yieldparam process [RubyProcess] does not outlive the block
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

  # @return [String, nil] the next line that it prints
  def line = @out.gets&.chomp

  # Sends it a line.
  def tell(line = "") = @in.puts(line)

  def signal(name) = Process.kill(name, @thread.pid)

  # Waits for its end.
  # @return [Array(String, Process::Status)] what it printed that was not read yet
  def result
    printed = @out.read
    [printed, @thread.value]
  end

  def stop
    BoundedPrograms.kill(@thread)
    @thread.join
    [@in, @out].each(&:close)
  end
end
