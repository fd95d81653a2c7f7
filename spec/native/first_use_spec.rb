# frozen_string_literal: true

require_relative "../support/ruby_process"

# A web server that has just started may get its first requests at the same time.
RSpec.describe EncryptedS3Service::Client, "when several threads use it for the first time" do
  # Ruby switches to another thread whenever a class is looked up, which is the worst moment.
  code = <<~'RUBY'
    settings, key = input
    TracePoint.new(:c_call) { |point| sleep 0.05 if point.method_id == :const_get }.enable
    first = ->(&call) { Array.new(4) { Thread.new(&call) }.map(&:value) }
    client = first.call { EncryptedS3Service::Client.new(**settings) }.last
    first.call { client.upload(key, StringIO.new("a text")) }
    puts first.call { client.download(key) }
  RUBY

  it "does not hang" do
    RubyProcess.start(code, TestStore.settings, unique_key) do |process|
      expect(process.result(within: 30).first).to eq("a text\n" * 4)
    end
  end
end
