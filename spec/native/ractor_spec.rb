# frozen_string_literal: true

require_relative "../support/ruby_process"

# The extension is not made for Ractors. Ruby itself blocks it in every Ractor except the main one. That is right,
# because Ractors would otherwise share open transfers.
RSpec.describe EncryptedS3Service::Native, "in a Ractor", if: defined?(Ractor) do
  # @return [Array<String>] class and message of what was raised in the Ractor, or of what kept it from going there
  def refused(code)
    printed, status = RubyProcess.run(<<~RUBY, TestStore.settings, unique_key)
      Warning[:experimental] = false
      Thread.report_on_exception = false
      settings, key = input
      client = EncryptedS3Service::Client.new(**settings)
      result = ->(ractor) { ractor.respond_to?(:value) ? ractor.value : ractor.take }
      begin
        #{code}
      rescue Ractor::RemoteError => e
        puts e.cause.class, e.cause.message
      rescue Ractor::Error, TypeError => e
        puts e.class, e.message
      end
      client.upload(key, StringIO.new("the main Ractor goes on"))
      puts client.download(key)
      client.delete(key)
    RUBY
    expect(status).to be_success, printed
    *refusal, last = printed.lines(chomp: true)
    expect(last).to eq("the main Ractor goes on")
    refusal
  end

  it "cannot be used: a client built there raises Ruby's own error" do
    code = "result.call(Ractor.new(settings) { |entry| EncryptedS3Service::Client.new(**entry).exist?('a') })"
    expect(refused(code)).to match(["Ractor::UnsafeError", /ractor unsafe method called from not main ractor/])
  end

  it "cannot be shared: a client built elsewhere cannot be passed in" do
    expect(refused("result.call(Ractor.new(client) { |other| other.exist?('a') })").first).to eq("TypeError")
    expect(refused("Ractor.make_shareable(client)").first).to eq("Ractor::Error")
  end

  it "cannot be shared during a transfer: neither uploads nor downloads can be passed in" do
    options = '{ content_type: "a/b", checksum: nil, size: nil, settings: {} }'
    handles = { upload: "client.send(:native).upload(key, #{options})",
                reader: "(client.upload(key, StringIO.new('x')) && client.send(:native).download(key, 0, nil))" }
    handles.each_value do |handle|
      expect(refused("result.call(Ractor.new(#{handle}) { |other| other.class })").first).to eq("TypeError")
    end
  end
end
