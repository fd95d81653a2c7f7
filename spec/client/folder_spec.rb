# frozen_string_literal: true

require "json"
require "open3"
require "rbconfig"
require "tmpdir"
require_relative "../support/aws_clients"
require_relative "../support/ruby_process"

RSpec.describe EncryptedS3Service::Client, "with a folder in the place of a bucket" do
  around { |example| Dir.mktmpdir { |folder| @folder = folder and example.run } }

  let(:root) { File.join(@folder, "files") }
  let(:settings) do
    { root: root, encryption_key: TestStore::KEY, encryption_key_id: TestStore::KEY_ID,
      upload: { multipart_threshold: 5 << 20, part_size: 5 << 20 } }
  end
  let(:client) { described_class.new(**settings) }
  let(:data) { random_bytes(12 << 20) }

  def store(key, data = "a contract", with: client) = with.upload(key, StringIO.new(data))

  # @return [Array<String>] files of objects and of unfinished writes, below the folder
  def files = Dir.glob("**/*", File::FNM_DOTMATCH, base: root).select { |name| File.file?(File.join(root, name)) }

  # @return [Array(Hash, String)] the record of the only object, and the path of its body
  def only_object
    path, = Dir.glob(File.join(root, "*/*/*.json"))
    record = JSON.parse(File.read(path))
    [record, File.join(File.dirname(path), record.fetch("Body")), path]
  end

  it "stores, reads, lists and deletes as with a bucket" do
    store("a/1", data)
    store("a/2")
    store("b")
    expect(client.download("a/1")).to be_bytes(data)
    expect(client.download("a/1", &(chunks = []).method(:<<))).to be_nil
    expect(chunks.map(&:bytesize)).to eq([5 << 20, 5 << 20, 2 << 20])
    expect(client.download_chunk("a/1", (6 << 20)..)).to be_bytes(data.byteslice(6 << 20, data.bytesize))
    expect(client.stat("a/1").size).to eq(data.bytesize)
    client.compose(%w[a/1 a/2], "a/3")
    expect(client.download("a/3")).to be_bytes("#{data}a contract")
    client.delete_prefixed("a/")
    expect(%w[a/1 a/2 a/3 b].map { |key| client.exist?(key) }).to eq([false, false, false, true])
    client.delete("b")
    expect { client.download("b") }.to raise_error(EncryptedS3Service::NotFoundError)
    expect(Dir.children(root)).to eq([".encrypted_s3"])
    expect(files).to eq([".encrypted_s3/lock"])
  end

  it "has only ciphertext and the length of the file on the disk" do
    store("contract.pdf", "all that is secret" * 100)
    record, body, path = only_object
    expect(File.size(body)).to eq(1_816)
    expect(File.binread(body)).not_to include("secret")
    expect(record).to include("Key" => "contract.pdf", "ContentLength" => 1_816,
                              "ContentType" => "application/octet-stream")
    expect([path, body].map { |file| File.stat(file).mode & 0o777 }).to all(eq(0o666 & ~File.umask))
  end

  ["../outside", "/etc/outside", "a/../../outside", "..", "Ähre/\u{1F600}", "a\0b", "k" * 1024, "日" * 341].each do |key|
    it "stores #{key[0, 20].inspect[1..-2]} (#{key.bytesize} bytes) inside of the folder" do
      store(key)
      expect(client.download(key)).to eq("a contract")
      expect(Dir.children(@folder)).to eq(["files"])
      expect(files.size).to eq(3)
      client.delete_prefixed(key[0, 3])
      expect(files).to eq([".encrypted_s3/lock"])
    end
  end

  it "stores keys that differ only in case in files whose names differ in more" do
    %w[report Report REPORT].each { |key| store(key, key) }
    expect(files.map(&:downcase).uniq.size).to eq(7)
    expect(%w[report Report REPORT].map { |key| client.download(key) }).to eq(%w[report Report REPORT])
  end

  it "refuses a key that a bucket would refuse" do
    expect { store("k" * 1025) }.to raise_error(EncryptedS3Service::Error, /1024 bytes.*1025/)
  end

  it "keeps the older object and leaves no other file when an upload fails" do
    store("key")
    before = files
    expect { client.upload("key", StringIO.new(data), checksum: md5("other")) }
      .to raise_error(EncryptedS3Service::ChecksumError)
    reader = Class.new { def read(*) = raise(IOError, "broken") }.new
    expect { client.upload("key", reader) }.to raise_error(IOError)
    expect(files).to eq(before)
    expect(client.download("key")).to eq("a contract")
  end

  it "detects changes on the disk" do
    store("key", data)
    _, body, = only_object
    File.open(body, "r+b") { |file| file.seek(7 << 20) && file.write("changed") }
    expect { client.download("key") }.to raise_error(EncryptedS3Service::TamperedError)
    File.truncate(body, 1 << 20)
    expect { client.download("key") }.to raise_error(EncryptedS3Service::IntegrityError)
    File.delete(body)
    expect { client.download("key") }
      .to raise_error(EncryptedS3Service::FileError, /cannot read .*#{File.basename(body)}/)
    client.delete("key")
    expect(files).to eq([".encrypted_s3/lock"])
  end

  it "refuses an object that replaced another" do
    %w[aaaa bbbb].each { |key| store(key, key) }
    records = %w[aa/aa/aaaa.json bb/bb/bbbb.json].map { |name| File.join(root, name) }
    first, second = records.map { |path| JSON.parse(File.read(path)) }
    File.write(records[1], JSON.generate({ **second, "Metadata" => first["Metadata"] }))
    FileUtils.cp(File.join(root, "aa/aa", first["Body"]), File.join(root, "bb/bb", second["Body"]))
    expect { client.download("bbbb") }.to raise_error(EncryptedS3Service::TamperedError, /not written under this key/)
  end

  it "names the folder that is not writable" do
    File.write(root, "a file")
    expect { store("key") }.to raise_error(EncryptedS3Service::FileError, /cannot .*#{root}/)
    expect(client.exist?("key")).to be(false)
  end

  it "rotates keys without changing the body, whole and in parts, and encrypts again" do
    store("key", data)
    before = only_object.first["Body"]
    later = { **settings, encryption_key: "n" * 32, encryption_key_id: "2026" }
    rotating = described_class.new(**later, decryption_keys: { TestStore::KEY_ID => TestStore::KEY })
    expect(rotating.rotate("key", verify: true).outcome).to eq(:rotated)
    expect(only_object.first["Body"]).to eq(before)
    expect(described_class.new(**later).download("key")).to be_bytes(data)

    back = described_class.new(**settings, decryption_keys: { "2026" => "n" * 32 })
    expect(back.rotate("key", largest_copy: 5 << 20, verify: true).outcome).to eq(:rotated)
    expect(client.download("key")).to be_bytes(data)
    rotating.reencrypt("key", checksum: md5(data))
    expect(described_class.new(**later).download("key")).to be_bytes(data)
    expect(files.size).to eq(3)
  end

  it "keeps one whole object when two processes write it at once" do
    code = <<~'RUBY'
      settings, letter = input
      client = EncryptedS3Service::Client.new(**settings)
      $stdin.gets
      30.times { |round| client.upload("key", StringIO.new(letter * (1_000 + round))) }
      5.times { client.upload("key", StringIO.new(letter * (11 << 20))) }
      puts "done"
    RUBY
    RubyProcess.start(code, settings, "a") do |first|
      RubyProcess.start(code, settings, "b") do |second|
        [first, second].each(&:tell)
        seen = Array.new(60) { client.exist?("key") ? client.download("key") : "a" }
        expect(seen.map { |text| text.squeeze.size }.uniq).to eq([1])
        expect([first, second].map(&:line)).to eq(%w[done done])
      end
    end
    expect(client.download("key").squeeze).to match(/\A[ab]\z/)
    expect(files.size).to eq(3)
  end

  it "hides the upload of a killed process, and keeps the older object" do
    store("key")
    code = <<~'RUBY'
      client = EncryptedS3Service::Client.new(**input.first)
      endless = Object.new
      def endless.read(length, _buffer = nil)
        @read = @read.to_i + length
        puts "half" if @read == 30 << 20
        "x" * length
      end
      client.upload("key", endless)
    RUBY
    RubyProcess.start(code, settings) do |process|
      expect(process.line).to eq("half")
      process.signal(:KILL)
      process.result
    end
    expect(client.download("key")).to eq("a contract")
    expect(Dir.children(File.join(root, ".encrypted_s3/uploads")).size).to eq(1)
    yesterday = Time.now - (25 * 60 * 60)
    Dir.glob(File.join(root, ".encrypted_s3/uploads/*")) { |left| File.utime(yesterday, yesterday, left) }
    store("another", with: described_class.new(**settings))
    expect(Dir.children(File.join(root, ".encrypted_s3/uploads"))).to eq([])
  end

  it "works in a forked process" do
    store("key")
    child = fork { exit!(client.download("key") == "a contract" && store("child") ? 0 : 1) }
    expect(Process.wait2(child).last).to be_success
    expect(client.download("child")).to eq("a contract")
  end

  it "is read by the command, which accepts the record as metadata" do
    store("key", data)
    record, body, path = only_object
    File.write("#{@folder}/key.txt", "base64:#{[TestStore::KEY].pack("m0")}")
    program = File.expand_path("../../exe/encrypted_s3_service", __dir__)
    library = File.expand_path("../../lib", __dir__)
    output, errors, status = Open3.capture3(RbConfig.ruby, "-rbundler/setup", "-I", library, program, "decrypt", body,
                                            "--metadata", path, "--object-key", record["Key"], "--key-file",
                                            "#{@folder}/key.txt", binmode: true)
    expect([errors, status.exitstatus]).to eq(["", 0])
    expect(output).to be_bytes(data)
  end

  describe "whose files are copied into a bucket", if: ENV["S3_SERVER"] != "folder" do
    let(:key) { unique_key("contract.pdf") }

    before do
      store(key, data)
      record, body, = only_object
      AwsClients.plain.put_object(bucket: bucket, key: record["Key"], body: File.binread(body),
                                  content_type: record["ContentType"], metadata: record["Metadata"])
    end

    it "is read there by a service with the same key" do
      expect(new_client(place_binding: "require").download(key)).to be_bytes(data)
    end

    it "is read there by Amazon's client" do
      read = AwsClients.v2(TestStore::KEY).get_object(bucket: bucket, key: key).body.read
      expect(read).to be_bytes(data)
    end
  end
end
