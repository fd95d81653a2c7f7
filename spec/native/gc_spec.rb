# frozen_string_literal: true

require_relative "../support/fault_proxy"
require_relative "../support/ruby_process"
require "objspace"

# Transfers hold memory, connections and parts in the bucket, and the garbage collector may run at any time.
RSpec.describe EncryptedS3Service::Native, "and the garbage collector" do
  let(:mebibyte) { TestStore::MEBIBYTE }
  let(:entry) { { upload: { multipart_threshold: 5 * mebibyte, part_size: 5 * mebibyte } } }
  let(:client) { new_client(**entry) }
  let(:native) { client.send(:native) }
  let(:key) { unique_key }

  def begin_upload(native = self.native)
    native.upload(key, { content_type: "a/b", checksum: nil, size: 11 * mebibyte, settings: {} })
  end

  # Runs the block so that no reference to its objects is left on a stack.
  def elsewhere
    Thread.new do
      yield
      nil
    end.join
  end

  def eventually
    deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + 20
    until yield || Process.clock_gettime(Process::CLOCK_MONOTONIC) > deadline
      GC.start
      sleep 0.02
    end
    yield
  end

  # Collections of a heap as small as that of a new process take little time.
  def stressed(code, *input)
    output, status = RubyProcess.run(<<~RUBY, TestStore.settings(**entry), *input)
      entry, *input = input
      client = EncryptedS3Service::Client.new(**entry)
      #{code}
    RUBY
    expect(status).to be_success, output
    output.lines(chomp: true)
  end

  it "does not enable it if the application has disabled it, and runs it for downloads otherwise" do
    client.upload(key, StringIO.new("a" * (21 * mebibyte)))
    said = stressed(<<~'RUBY', key)
      key, = input
      collections = lambda do
        before = GC.count
        client.download(key) { |chunk| chunk.size }
        GC.count - before
      end
      collections.call
      GC.disable
      puts collections.call, GC.disable
      GC.enable
      puts collections.call.positive?, GC.enable
    RUBY
    expect(said).to eq(%w[0 true true false])
  end

  it "survives it at every allocation of an upload in parts, its download and its range" do
    data = random_bytes(11 * mebibyte)
    said = stressed(<<~'RUBY', key, data, md5(data))
      key, data, checksum = input
      chunks = []
      sent = range = nil
      source = StringIO.new(data)
      GC.stress = true
      client.upload(key, source, checksum: checksum, progress: ->(bytes, _) { sent = bytes })
      client.download(key) { |chunk| chunks << chunk }
      range = client.download_chunk(key, 5_000_000..6_000_000)
      GC.stress = false
      puts sent, chunks.join == data, range == data.byteslice(5_000_000..6_000_000)
    RUBY
    expect(said).to eq([data.bytesize.to_s, "true", "true"])
    expect(stored_plaintext(key)).to be_bytes(data)
  end

  it "survives it at every allocation of a small file's upload, download and range" do
    said = stressed(<<~'RUBY', key)
      key, = input
      chunks = []
      GC.stress = true
      client.upload(key, StringIO.new("stressed"))
      read = client.download(key)
      client.download(key) { |chunk| chunks << chunk }
      range = client.download_chunk(key, 2..4)
      GC.stress = false
      puts read, chunks.join, range
    RUBY
    expect(said).to eq(%w[stressed stressed res])
  end

  it "survives it at every allocation of an error" do
    said = stressed(<<~'RUBY', key)
      key, = input
      refused = EncryptedS3Service::Client.new(**entry, secret_access_key: "wrong")
      calls = [-> { client.download(key) }, -> { client.download(key) { nil } }, -> { client.download_chunk(key, 0..1) },
               -> { refused.exist?(key) }, -> { refused.upload(key, StringIO.new("x")) },
               -> { client.upload(key, StringIO.new("x"), checksum: "?") }]
      GC.stress = true
      codes = calls.map do |call|
        call.call
      rescue EncryptedS3Service::Error => e
        e.message && e.code
      end
      GC.stress = false
      puts codes
    RUBY
    expect(said).to eq(%w[not-found not-found not-found access access checksum-mismatch])
  end

  # All other methods of a client, from a file and into one, and their results; `before_each` runs in between.
  let(:every_other_call) do
    <<~'RUBY'
      key, folder = input
      source = File.join(folder, "source").tap { |path| File.binwrite(path, "text" * 10_000) }
      target = File.open(File.join(folder, "target"), "w+b")
      head = +""
      calls = [
        -> { File.open(source, "rb") { |file| client.upload(key, file, content_type: "text/plain") } && "stored" },
        -> { client.exist?(key) },
        -> { client.size(key) },
        -> { client.stat(key).size },
        -> { client.metadata(key).to_h.any? },
        -> { client.download_file(key, target) && File.size(target) },
        -> { reader = client.reader(key); reader.skip(4); head << reader.read(4); reader.close; head },
        -> { client.compose([key, key], "#{key}/both") && client.size("#{key}/both") },
        -> { client.delete("#{key}/both"); client.exist?("#{key}/both") },
        -> { client.delete_prefixed(key); client.exist?(key) }
      ]
      answers = calls.map { |call| before_each.call && call.call }
      GC.stress = false
      puts answers
    RUBY
  end
  let(:every_other_answer) { %w[stored true 40000 40000 true 40000 text 80000 false false] }

  it "survives it at every allocation of every other call" do
    Dir.mktmpdir do |folder|
      said = stressed("before_each = -> { GC.stress = true }\n#{every_other_call}", key, folder)
      expect(said).to eq(every_other_answer)
    end
  end

  it "survives compaction between any two calls", if: GC.respond_to?(:compact) do
    Dir.mktmpdir do |folder|
      moving = "GC.auto_compact = true\nbefore_each = -> { GC.verify_compaction_references(toward: :empty) }\n"
      said = stressed(moving + every_other_call, key, folder)
      expect(said).to eq(every_other_answer)
    end
  end

  # In a process of its own: not every extension that other specs load survives it.
  it "survives compaction during transfers", if: GC.respond_to?(:compact) do
    data = random_bytes(11 * mebibyte)
    printed, status = RubyProcess.run(<<~'RUBY', TestStore.settings(**entry), key, data, md5(data))
      settings, key, data, checksum = input
      client = EncryptedS3Service::Client.new(**settings)
      client.upload(key, StringIO.new(data), checksum: checksum, progress: ->(*) { GC.compact })
      chunks = []
      client.download(key) do |chunk|
        GC.compact
        chunks << chunk
      end
      puts chunks.join == data
    RUBY
    expect([printed, status.exitstatus]).to eq(["true\n", 0])
  end

  it "aborts an unreferenced upload in parts in the end" do
    FaultProxy.run(server.endpoint) do |proxy|
      gate = proxy.hold("UploadPart", part: 2)
      elsewhere do
        native = new_client(endpoint: proxy.endpoint, **entry).send(:native)
        upload = begin_upload(native)
        upload.write(random_bytes(11 * mebibyte))
        gate.arrived
      end
      expect(eventually { proxy.requests("AbortMultipartUpload").any? && traces_of(key).empty? }).to be(true)
    end
  end

  it "ends the requests of an unreferenced download" do
    client.upload(key, StringIO.new(random_bytes(50 * mebibyte)))
    FaultProxy.run(server.endpoint) do |proxy|
      gate = proxy.hold("GetObject", skip: 1)
      elsewhere do
        native = new_client(endpoint: proxy.endpoint, **entry, segment_index: false).send(:native)
        native.download(key, 0, nil)
      end
      # The first range has come, and three are under way at once.
      3.times { gate.arrived }
      GC.start
      gate.open
      expect(client.download(key).bytesize).to eq(50 * mebibyte)
      expect(proxy.requests.size).to eq(4)
    end
  end

  it "knows how much memory an upload and a download hold, and that they release it" do
    upload = begin_upload
    empty = ObjectSpace.memsize_of(upload)
    upload.write(random_bytes(3_000_000))
    held = ObjectSpace.memsize_of(upload)
    upload.finish
    finished = ObjectSpace.memsize_of(upload)
    download = native.download(key, 0, nil)
    download.read
    read = ObjectSpace.memsize_of(download)
    download.close
    expect([held, read]).to all(be_between(3_000_000, 12_000_000))
    expect([empty, finished, ObjectSpace.memsize_of(download)]).to all(be < 100_000)
  end
end
