# frozen_string_literal: true

require_relative "../rails_helper"

RSpec.describe ActiveStorage::Service::EncryptedS3Service do
  let(:service) { build }
  let(:key) { unique_key }

  def build(name = :specs, **overrides)
    entries = { name => { service: "EncryptedS3", **TestStore.settings(**overrides) } }
    ActiveStorage::Service.configure(name, entries)
  end

  def upload(data, **) = service.upload(key, StringIO.new(data), **)

  # @return [Array<Array(String, Hash)>] names and payloads of what happens in the block
  def events(pattern = /\Aservice_.*\.active_storage\z/, &)
    seen = []
    ActiveSupport::Notifications.subscribed(->(name, *, payload) { seen << [name, payload] }, pattern, &)
    seen
  end

  describe "information that S3 gets" do
    it "excludes the name, type, disposition, metadata and checksum of the plaintext" do
      upload("a very private text", checksum: md5("a very private text"), content_type: "text/x-private",
                                    filename: ActiveStorage::Filename.new("private-name.txt"),
                                    disposition: :attachment, custom_metadata: { "owner" => "private-owner" })
      headers, body = stored(key)
      sent = headers.to_a.flatten.join("\n")
      expect(sent).not_to match(/private|attachment|disposition/i)
      expect(sent).not_to include(md5("a very private text"))
      expect(sent).not_to include(OpenSSL::Digest.hexdigest("MD5", "a very private text"))
      expect(headers["content-type"]).to eq("application/octet-stream")
      expect(body).not_to include("private")
      expect(body.bytesize).to eq("a very private text".bytesize + 16)
    end
  end

  describe "uploads" do
    it "stores an empty file" do
      upload("", checksum: md5(""))
      expect([service.download(key), service.exist?(key)]).to eq(["", true])
    end

    { "above" => [8.megabytes, /-\d+"?\z/], "below" => [3.megabytes, /\A"?\h{32}"?\z/] }.each do |side, (size, etag)|
      it "stores a file #{side} the multipart threshold" do
        small = build(upload: { multipart_threshold: 5.megabytes })
        data = SecureRandom.bytes(size)
        small.upload(key, StringIO.new(data), checksum: md5(data))
        expect(small.download(key)).to be_bytes(data)
        expect(server.head(bucket, key)[1]["etag"]).to match(etag)
      end
    end

    it "keeps the older file when the new one has a wrong checksum" do
      upload("old")
      expect { upload("new", checksum: md5("wrong")) }.to raise_error(ActiveStorage::IntegrityError)
      expect(service.download(key)).to eq("old")
    end

    it "reads a Tempfile to its end and leaves it open, because mirrors need it" do
      Tempfile.create do |file|
        file.write("x" * 100_000)
        file.rewind
        service.upload(key, file, checksum: md5("x" * 100_000))
        expect([file.eof?, file.closed?]).to eq([true, false])
      end
    end

    it "does nothing when metadata changes, because no metadata is stored" do
      upload("x")
      before = server.head(bucket, key)[1]["last-modified"]
      service.update_metadata(key, content_type: "text/plain", disposition: :inline, custom_metadata: {})
      expect(server.head(bucket, key)[1]["last-modified"]).to eq(before)
    end
  end

  describe "errors" do
    it "keeps the gem's own error as the cause of Active Storage's" do
      expect { service.download(key) }.to raise_error(ActiveStorage::FileNotFoundError) { |e|
        expect(e.cause).to be_a(EncryptedS3Service::NotFoundError)
        expect(e.message).to eq(e.cause.message)
      }
    end

    it "raises IntegrityError before returning any byte when the object was changed in the bucket" do
      upload("x" * 1000)
      headers, body = stored(key)
      restore(key, headers, body.tap { |bytes| bytes.setbyte(5, bytes.getbyte(5) ^ 1) })
      [-> { service.download(key) }, -> { service.download(key) { raise "yielded" } },
       -> { service.download_chunk(key, 0..3) }, -> { service.open(key, checksum: md5("x" * 1000)) { raise "opened" } }]
        .each { |call| expect(&call).to raise_error(ActiveStorage::IntegrityError) }
    end

    it "raises FileNotFoundError when a source to compose is missing, and composes nothing" do
      expect { service.compose([unique_key], key) }.to raise_error(ActiveStorage::FileNotFoundError)
      expect(service.exist?(key)).to be(false)
    end

    it "does not replace the error about a wrong encryption key by one of Active Storage" do
      upload("x")
      expect { build(encryption_key: "k" * 32).download(key) }.to raise_error(EncryptedS3Service::UnwrapError)
    end

    it "never returns an object without an envelope as a file" do
      server.put(bucket, key, "plaintext")
      expect { service.download(key) }.to raise_error(EncryptedS3Service::EnvelopeError)
    end
  end

  describe "#open" do
    it "yields a file with the plaintext and deletes it afterwards" do
      upload("x" * 100_000)
      path = service.open(key, checksum: md5("x" * 100_000), name: ["spec-", ".txt"]) do |file|
        expect(file.read).to eq("x" * 100_000)
        file.path
      end
      expect(path).to end_with(".txt")
      expect(File.exist?(path)).to be(false)
    end

    it "compares a checksum by another digest, as Rails 8.1 and 8.2 may store it" do
      upload("x")
      digest = [OpenSSL::Digest.digest("SHA256", "x")].pack("m0")
      expect([digest, "sha256:#{digest}"].map { |checksum| service.open(key, checksum: checksum, &:read) })
        .to eq(%w[x x])
      upload("y")
      expect { service.open(key, checksum: "sha256:#{digest}") { raise "opened" } }
        .to raise_error(ActiveStorage::IntegrityError)
    end

    it "yields files without a checksum, such as composed files" do
      upload("x")
      expect(service.open(key, checksum: nil, &:read)).to eq("x")
    end

    it "refuses a file that does not match the checksum of the database" do
      upload("x")
      expect { service.open(key, checksum: md5("y")) { raise "opened" } }.to raise_error(ActiveStorage::IntegrityError)
    end
  end

  describe "notifications" do
    it "are those of every service, with the service's name" do
      seen = events do
        upload("12345", checksum: md5("12345"))
        service.download(key)
        service.download(key) { nil }
        service.download_chunk(key, 1..2)
        service.exist?(key)
        service.delete(key)
        service.delete_prefixed("#{key}/")
      end
      expect(seen).to eq([
                           ["service_upload.active_storage", { key:, checksum: md5("12345"), service: "EncryptedS3" }],
                           ["service_download.active_storage", { key:, service: "EncryptedS3" }],
                           ["service_streaming_download.active_storage", { key:, service: "EncryptedS3" }],
                           ["service_download_chunk.active_storage", { key:, range: 1..2, service: "EncryptedS3" }],
                           ["service_exist.active_storage", { key:, exist: true, service: "EncryptedS3" }],
                           ["service_delete.active_storage", { key:, service: "EncryptedS3" }],
                           ["service_delete_prefixed.active_storage", { prefix: "#{key}/", service: "EncryptedS3" }]
                         ])
    end

    it "include failures" do
      seen = events { service.download(key) rescue nil } # rubocop:disable Style/RescueModifier
      expect(seen.dig(0, 1, :exception)).to start_with("ActiveStorage::FileNotFoundError")
    end

    it "announce the progress of an upload with the service's name in storage.yml" do
      seen = events("transfer_progress.encrypted_s3_service") { upload("x" * 3.megabytes) }.map(&:last)
      expect(seen.last).to eq(key: key, bytes: 3.megabytes, total: 3.megabytes, service: :specs)
      expect(seen.size).to be > 1
    end
  end

  describe "in storage.yml" do
    it "can be built twice from one entry, and both services work" do
      entry = { service: "EncryptedS3", **TestStore.settings(upload: { multipart_threshold: 5.megabytes }) }
      copy = entry.deep_dup
      configurator = ActiveStorage::Service::Configurator.new({ one: entry })
      first, second = Array.new(2) { configurator.build(:one) }
      expect(entry).to eq(copy)
      data = SecureRandom.bytes(6.megabytes)
      etags = [first, second].map do |service|
        service.upload(key, StringIO.new(data))
        server.head(bucket, key)[1]["etag"]
      end
      expect(etags).to all(match(/-\d+"?\z/))
      expect(first.download(key)).to be_bytes(data)
    end

    it "can be called EncryptedS3 or encrypted_s3" do
      entries = %w[EncryptedS3 encrypted_s3].to_h { |name| [name.to_sym, { service: name, **TestStore.settings }] }
      expect(entries.keys.map { |name| ActiveStorage::Service.configure(name, entries) }).to all(be_a(described_class))
    end

    it "refuses an unknown setting by name when the service is built" do
      expect { build(regoin: "x") }
        .to raise_error(EncryptedS3Service::ConfigurationError, /regoin.*Did you mean region/)
    end

    it "may lack its key while assets are precompiled, and raises on first use" do
      ENV["SECRET_KEY_BASE_DUMMY"] = "1"
      keyless = build(encryption_key: nil)
      expect { keyless.download(key) }
        .to raise_error(EncryptedS3Service::ConfigurationError, /encryption_key is missing/)
    ensure
      ENV.delete("SECRET_KEY_BASE_DUMMY")
    end

    it "can be the primary of a mirror" do
      mirror = ActiveStorage::Blob.services.fetch(:mirrored)
      mirror.upload(key, StringIO.new("mirrored"), checksum: md5("mirrored"))
      expect([mirror.download(key), stored_plaintext(key)]).to eq(%w[mirrored mirrored])
      mirror.mirror(key, checksum: md5("mirrored"))
      expect(mirror.mirrors.first.download(key)).to eq("mirrored")
    end
  end

  describe "URLs" do
    let(:filename) { ActiveStorage::Filename.new("a.txt") }

    it "never lead to S3, where a browser would get ciphertext or store plaintext" do
      options = { expires_in: 300, content_type: "text/plain" }
      ActiveStorage::Current.set(url_options: { protocol: "https", host: "app.example.com" }) do
        urls = [service.url(key, **options, filename:, disposition: :inline),
                build(public: true).url(key, filename:, content_type: "text/plain"),
                service.url_for_direct_upload(key, **options, content_length: 1, checksum: md5("x"))]
        expect(urls).to all(start_with("https://app.example.com/rails/active_storage/encrypted_s3/"))
      end
    end

    it "are permanent only if that is configured" do
      expect([service.public?, build(public: true).public?]).to eq([false, true])
    end
  end

  it "is not a mirror, when attachments ask" do
    expect(service).not_to respond_to(:mirror_later)
  end

  it "shows no secret in any text that Ruby or Rails makes of it" do
    text = [service.inspect, service.to_s, [service].inspect, { service: service }.inspect].join
    expect(text).to include(":specs", "specs")
    expect(text).not_to include(server.secret_access_key)
    expect(text.b).not_to include(TestStore::KEY)
    expect(service.to_json.b).not_to include(TestStore::KEY[0, 8])
    expect(service.to_json).not_to include(server.secret_access_key)
    expect { Marshal.dump(service) }.to raise_error(TypeError)
  end
end
