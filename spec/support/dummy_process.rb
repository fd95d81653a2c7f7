# frozen_string_literal: true

require_relative "ruby_process"

# The dummy application in a process of its own, with the database and the bucket of the specs and no test helpers. Its
# default service stores in plaintext.
module DummyProcess
  BOOT = <<~RUBY.freeze
    require "#{File.expand_path("../dummy/config/environment", __dir__)}"
    ActiveStorage::Blob.service = ActiveStorage::Blob.services.fetch(:local)
  RUBY

  # Runs the code to its end.
  # @return [Array(String, Process::Status)] all that it printed
  def self.run(code, *input) = RubyProcess.run(BOOT + code, *input)

  # @yieldparam process [RubyProcess] does not outlive the block
  def self.start(code, *input, &) = RubyProcess.start(BOOT + code, *input, &)
end
