# frozen_string_literal: true

require_relative "../support/fault_proxy"
require_relative "../support/ruby_process"

# A server may fork at any time, also during transfers. Children end in the ordinary way here, by `exit`: then Ruby
# frees the objects that they inherited.
RSpec.describe EncryptedS3Service::Client, "in a process that forks in the middle of", if: Process.respond_to?(:fork) do
  let(:key) { unique_key }
  let(:data) { random_bytes(12 * TestStore::MEBIBYTE) }
  let(:proxy) { FaultProxy.new(URI(server.endpoint)) }
  let(:entry) do
    TestStore.settings(endpoint: proxy.endpoint, upload: { multipart_threshold: 5 << 20, part_size: 5 << 20 })
  end

  after { proxy.stop }

  # Defines `child`, which runs a block in a child and returns what it printed.
  helpers = <<~'RUBY'
    entry, key, data = input
    client = EncryptedS3Service::Client.new(**entry)
    def errors_of(*calls)
      calls.map do |call|
        call.call
        "none"
      rescue => e
        e.class.name
      end
    end
    def child
      reader, writer = IO.pipe
      pid = fork do
        reader.close
        writer.write(yield)
        writer.close
        GC.start
        exit 0
      end
      writer.close
      said = reader.read
      Process.wait(pid)
      puts "#{said} #{$?.exitstatus}"
    end
  RUBY

  upload = <<~'RUBY'
    upload = client.send(:native).upload(key, { content_type: "a/b", checksum: nil, size: data.bytesize, settings: {} })
    upload.write(data.byteslice(0, 11 << 20))
    $stdin.gets
    child do
      errors_of(-> { upload.write("x") }, -> { upload.finish }, -> { upload.abort }, -> { upload.bytes_sent }).join(" ")
    end
    $stdin.gets
    upload.write(data.byteslice((11 << 20)..))
    puts upload.finish[:bytes]
  RUBY

  it "an upload: a child cannot use it and ends normally, and the parent continues" do
    gate = proxy.hold("UploadPart", part: 2)
    RubyProcess.start(helpers + upload, entry, key, data) do |process|
      gate.arrived
      process.tell
      expect(process.line).to eq("#{(["EncryptedS3Service::ForkError"] * 4).join(" ")} 0")
      expect(proxy.requests.map(&:operation)).not_to include("AbortMultipartUpload")
      gate.open
      process.tell
      expect(process.result.first).to eq("#{data.bytesize}\n")
    end
    expect(stored_plaintext(key)).to be_bytes(data)
    expect(traces_of(key)).to eq([key])
  end

  download = <<~'RUBY'
    download = client.send(:native).download(key, 0, nil)
    chunks = []
    reading = Thread.new { while (chunk = download.read); chunks << chunk; end }
    $stdin.gets
    child { errors_of(-> { download.read }, -> { download.close }).join(" ") }
    $stdin.gets
    reading.join
    puts chunks.join == data
  RUBY

  it "a download: a child cannot use it and ends normally, and the parent continues" do
    new_client.upload(key, StringIO.new(data))
    gate = proxy.hold("GetObject", skip: 1)
    RubyProcess.start(helpers + download, entry, key, data) do |process|
      gate.arrived
      process.tell
      expect(process.line).to eq("EncryptedS3Service::ForkError EncryptedS3Service::ForkError 0")
      gate.open
      process.tell
      expect(process.result.first).to eq("true\n")
    end
  end

  both = <<~'RUBY'
    client.upload(key, StringIO.new(data))
    pids = Array.new(4) do |number|
      fork do
        mine = data.reverse.byteslice(number, 7 << 20)
        name = "#{key}#{number}"
        client.upload(name, StringIO.new(mine))
        exit(client.download(name) == mine && client.download(key) == data ? 0 : 1)
      end
    end
    own = client.download(key) == data
    puts [own, *pids.map { |pid| Process.wait2(pid).last.exitstatus }, client.download(key) == data].join(" ")
  RUBY

  it "its work: four children and their parent transfer their own files at once" do
    output, = RubyProcess.run(helpers + both, entry, key, data)
    expect(output).to eq("true 0 0 0 0 true\n")
    expect(traces_of(key)).to match_array([key, *(0..3).map { |number| "#{key}#{number}" }])
  end
end
