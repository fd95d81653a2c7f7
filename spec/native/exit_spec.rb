# frozen_string_literal: true

require_relative "../support/fault_proxy"
require_relative "../support/ruby_process"

# Servers are restarted and jobs are stopped during transfers.
RSpec.describe EncryptedS3Service::Client, "in a process that ends in the middle of a transfer" do
  let(:key) { unique_key }
  let(:proxy) { FaultProxy.new(URI(server.endpoint)) }
  let(:entry) do
    TestStore.settings(endpoint: proxy.endpoint, upload: { multipart_threshold: 5 << 20, part_size: 5 << 20 })
  end

  after { proxy.stop }

  transfers = {
    "an upload" => ["UploadPart", { part: 2 }, "client.upload(key, StringIO.new('x' * (12 << 20)))"],
    "a download" => ["GetObject", { skip: 1 }, "client.download(key)"]
  }

  # How the process is ended, and its expected exit status and signal.
  ends = {
    "by `exit`" => ["exit 3", [3, nil]],
    "by an exception" => ["raise 'wrong'", [1, nil]],
    "by `exit!`" => ["exit! 4", [4, nil]],
    "by SIGTERM" => [:TERM, [nil, 15]],
    "by Ctrl-C" => [:INT, [nil, 2]]
  }

  # Starts a transfer that hangs, ends the process and returns exit status and signal.
  def end_during(operation, which, transfer, way)
    new_client.upload(key, StringIO.new("old" * (4 << 20))) if operation == "GetObject"
    gate = proxy.hold(operation, **which)
    code = way.is_a?(Symbol) ? transfer : "Thread.new { #{transfer} }; $stdin.gets; #{way}"
    client = "entry, key = input; client = EncryptedS3Service::Client.new(**entry); "
    RubyProcess.start(client + code, entry, key) do |process|
      gate.arrived
      way.is_a?(Symbol) ? process.signal(way) : process.tell
      _, status = Timeout.timeout(5) { process.result }
      [status.exitstatus, status.termsig]
    end
  end

  transfers.each do |what, transfer|
    # Only unfinished uploads in the bucket depend on how the process ends.
    ways = what == "an upload" ? ends : ends.slice("by `exit`", "by Ctrl-C")
    ways.each do |name, (way, ended)|
      # Only `exit!` runs no more code; the bucket's lifecycle rule removes the remains.
      tidy = what == "an upload" && name != "by `exit!`"

      it "ends within seconds #{name} during #{what}#{" and leaves nothing in the bucket" if tidy}" do
        expect(end_during(*transfer, way)).to eq(ended)
        expect(traces_of(key)).to eq([]) if tidy
      end
    end
  end

  it "ends normally with unfinished and unread transfers" do
    new_client.upload(key, StringIO.new("x"))
    output, status = RubyProcess.run(<<~'RUBY', entry, key)
      entry, key = input
      native = EncryptedS3Service::Client.new(**entry).send(:native)
      forgotten = Array.new(10) do
        [native.download(key, 0, nil), native.upload(key, { content_type: "a/b", checksum: nil, size: nil, settings: {} })]
      end
      forgotten.each { |_, upload| upload.write("y") }
    RUBY
    expect([output, status.exitstatus]).to eq(["", 0])
    expect(new_client.download(key)).to eq("x")
  end
end
