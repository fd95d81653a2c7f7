# frozen_string_literal: true

require_relative "ruby_process"

# The dummy application in its own process, with the database and the bucket of the specs and without test helpers. Its
# default service does not encrypt.
module DummyProcess
  BOOT = <<~RUBY.freeze
    require "#{File.expand_path("../dummy/config/environment", __dir__)}"
    ActiveStorage::Blob.service = ActiveStorage::Blob.services.fetch(:local)
  RUBY

  # Runs the code and waits for its end.
  # @return [Array(String, Process::Status)] output and exit status
  def self.run(code, *input) = RubyProcess.run(BOOT + code, *input)

  # @yieldparam process [RubyProcess] killed after the block
  def self.start(code, *input, &) = RubyProcess.start(BOOT + code, *input, &)
end
