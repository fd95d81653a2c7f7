# frozen_string_literal: true

require_relative "../support/fault_proxy"
require_relative "../support/quirky_stores"

RSpec.describe EncryptedS3Service::Client, "rotation" do
  let(:key) { unique_key("Jahresabschluß 2024/über alles.pdf") }
  let(:new_key) { "n" * 32 }
  let(:new_settings) { { encryption_key: new_key, encryption_key_id: "2026" } }
  let(:rotating) { new_client(**new_settings, decryption_keys: { TestStore::KEY_ID => TestStore::KEY }) }
  # Without the old key.
  let(:later) { new_client(**new_settings) }

  def store(data = "data", **settings)
    new_client(**settings).upload(key, StringIO.new(data), content_type: "text/x-mine")
  end

  # Adds further headers to an object.
  def add_headers(added)
    headers, body = stored(key)
    kept = headers.select { |name, _| name.start_with?("x-amz-meta-") || name == "content-type" }
    status, = server.put(bucket, key, body, { **kept, **added })
    expect(status).to eq(200)
  end

  def raw(method, **)
    settings = TestStore.settings.slice(:endpoint, :access_key_id, :secret_access_key, :region)
    S3Server::SignedRequest.new(**settings).call(method, "/#{bucket}/#{key}", **)
  end

  %w[forbid_encrypt_allow_decrypt require_encrypt_allow_decrypt].zip(%w[v2 v3]).each do |policy, format|
    it "of a #{format.upcase} object leaves the body unchanged and no longer needs the old key" do
      store(data = random_bytes(100_000), commitment_policy: policy)
      before = stored(key).last
      expect(rotating.rotate(key))
        .to have_attributes(outcome: :rotated, format: format, reason: nil, former_key_id: TestStore::KEY_ID)
      expect(stored(key).last).to be_bytes(before)
      expect(later.download(key)).to be_bytes(data)
      expect { new_client.download(key) }.to raise_error(EncryptedS3Service::KeyringError)
      expect(later.envelope(key)).to have_attributes(format: format, key_id: "2026")
    end
  end

  it "changes nothing when it is repeated" do
    store
    rotating.rotate(key)
    before = object_itself(key)
    expect(rotating.rotate(key)).to have_attributes(outcome: :current, former_key_id: "2026")
    expect(object_itself(key)).to eq(before)
  end

  it "recognizes its objects if the public half writes and the private key has another id" do
    private_key = OpenSSL::PKey::RSA.new(2048)
    public_key = OpenSSL::PKey::RSA.new(private_key.public_to_der)
    store("data", encryption_key: public_key, encryption_key_id: "public")
    client = new_client(encryption_key: public_key, encryption_key_id: "public",
                        decryption_keys: { "private" => private_key })
    expect(client.rotate(key).outcome).to eq(:current)
    client.download(key, report: report = {})
    expect(report).to include(current: true)
  end

  it "can change to an RSA key, and back" do
    store
    rsa = OpenSSL::PKey::RSA.new(2048)
    settings = { encryption_key: rsa, encryption_key_id: "rsa" }
    new_client(**settings, decryption_keys: { TestStore::KEY_ID => TestStore::KEY }).rotate(key)
    expect(new_client(**settings).download(key)).to eq("data")
    new_client(decryption_keys: { "rsa" => rsa }).rotate(key)
    expect(stored_plaintext(key)).to eq("data")
  end

  it "keeps content type and other metadata" do
    store
    add_headers("x-amz-meta-owner" => "somebody", "cache-control" => "max-age=60")
    rotating.rotate(key)
    headers, = stored(key)
    expect(headers).to include("content-type" => "text/x-mine", "x-amz-meta-owner" => "somebody")
    # Swift's S3 API stores no such header.
    expect(headers["cache-control"]).to eq("max-age=60") unless ENV["S3_SERVER"] == "swift"
  end

  # Ceph has the storage classes that its administrator makes.
  it "keeps the storage class", unless: %w[swift ceph].include?(ENV.fetch("S3_SERVER", nil)) do
    new_client(upload: { storage_class: "STANDARD_IA" }).upload(key, StringIO.new("data"))
    before = server.head(bucket, key)[1]["x-amz-storage-class"]
    rotating.rotate(key)
    expect([before, server.head(bucket, key)[1]["x-amz-storage-class"]]).to eq(%w[STANDARD_IA STANDARD_IA])
  end

  # Swift's S3 API has no tags.
  describe "of an object with tags", unless: ENV["S3_SERVER"] == "swift" do
    def tags = raw("GET", query: { "tagging" => "" })[2].scan(%r{<Key>(.*?)</Key><Value>(.*?)</Value>}).to_h

    it "keeps them, copied whole or in parts" do
      new_client(upload: { tagging: "team=a%20b&size=l" }).upload(key, StringIO.new(random_bytes(6_000_000)))
      expect(tags).to eq("team" => "a b", "size" => "l")
      rotating.rotate(key)
      expect(tags).to eq("team" => "a b", "size" => "l")
      new_client(decryption_keys: { "2026" => new_key }).rotate(key, largest_copy: 5 * TestStore::MEBIBYTE)
      expect(tags).to eq("team" => "a b", "size" => "l")
    end

    it "keeps them at a store that does not copy them" do
      new_client(upload: { tagging: "team=a%20b" }).upload(key, StringIO.new("text"))
      TagForgettingStore.run(server.endpoint) do |proxy|
        settings = { **new_settings, endpoint: proxy.endpoint, decryption_keys: [TestStore::KEY] }
        expect(new_client(**settings).rotate(key).outcome).to eq(:rotated)
      end
      expect(tags).to eq("team" => "a b")
    end
  end

  # Swift's S3 API stores no such header.
  it "keeps the date of Expires, copied whole or in parts", unless: ENV["S3_SERVER"] == "swift" do
    store(random_bytes(6_000_000))
    add_headers("expires" => date = "Wed, 21 Oct 2099 07:28:00 GMT")
    rotating.rotate(key)
    expect(stored(key).first["expires"]).to eq(date)
    result = new_client(decryption_keys: { "2026" => new_key }).rotate(key, largest_copy: 5 * TestStore::MEBIBYTE)
    expect(result.outcome).to eq(:rotated)
    expect(stored(key).first["expires"]).to eq(date)
  end

  describe "in parts without a permission for tags" do
    denied = { status: 403, answer: "<Error><Code>AccessDenied</Code></Error>" }

    def rotate_in_parts(refusal)
      RefusingStore.run(server.endpoint, refusal) do |proxy|
        settings = { **new_settings, endpoint: proxy.endpoint, retry_limit: 0 }
        client = new_client(**settings, decryption_keys: { TestStore::KEY_ID => TestStore::KEY })
        client.rotate(key, largest_copy: 5 * TestStore::MEBIBYTE)
      end
    end

    { "s3:GetObjectTagging" => ->(request) { request.verb == "GET" && request.target.end_with?("?tagging") },
      "s3:PutObjectTagging" => ->(request) { request.headers.key?("x-amz-tagging") } }.each do |permission, asks|
      it "names it, and leaves the object unchanged: #{permission}", unless: ENV["S3_SERVER"] == "swift" do
        new_client(upload: { tagging: "a=b" }).upload(key, StringIO.new(data = random_bytes(6_000_000)))
        expect { rotate_in_parts(->(request) { denied if asks.call(request) }) }
          .to raise_error(EncryptedS3Service::AccessError, /allow .*#{permission}/)
        expect(stored_plaintext(key)).to be_bytes(data)
        expect(traces_of(key)).to eq([key])
      end
    end
  end

  it "copies objects that are too large for one request in parts" do
    store(data = random_bytes(12 * TestStore::MEBIBYTE))
    before = stored(key).last
    FaultProxy.run(server.endpoint) do |proxy|
      settings = { **new_settings, endpoint: proxy.endpoint, decryption_keys: { TestStore::KEY_ID => TestStore::KEY } }
      expect(new_client(**settings).rotate(key, largest_copy: 5 * TestStore::MEBIBYTE).outcome).to eq(:rotated)
      ranges = proxy.requests("UploadPart").map { |request| request.headers["x-amz-copy-source-range"] }
      expect(ranges).to eq(%w[bytes=0-5242879 bytes=5242880-10485759 bytes=10485760-12582927])
      # Ceph refuses a part without a length.
      expect(proxy.requests("UploadPart").map { |request| request.headers["content-length"] }).to all(eq("0"))
    end
    expect(stored(key).last).to be_bytes(before)
    expect(later.download(key)).to be_bytes(data)
    expect(stored(key).first["content-type"]).to eq("text/x-mine")
    expect(traces_of(key)).to eq([key])
  end

  describe "does not overwrite an object that was stored meanwhile:" do
    def rotate(**)
      FaultProxy.run(server.endpoint) do |proxy|
        yield proxy
        client = new_client(**new_settings, endpoint: proxy.endpoint, decryption_keys: [TestStore::KEY])
        expect(client.rotate(key, **).outcome).to eq(:rotated)
      end
    end

    it "before it was copied" do
      store("old")
      rotate { |proxy| proxy.fault("PutObject", times: 1) { store("new") } }
      expect(later.download(key)).to eq("new")
    end

    it "between parts, and after the last one" do
      [["UploadPart", 1], ["HeadObject", 2]].each do |operation, skipped|
        store(random_bytes(12 * TestStore::MEBIBYTE))
        rotate(largest_copy: 5 * TestStore::MEBIBYTE) do |proxy|
          proxy.fault(operation, skip: skipped, times: 1) { store("new") }
        end
        expect(later.download(key)).to eq("new")
        expect(traces_of(key)).to eq([key])
      end
    end

    # Ceph does.
    it "between parts, at a store that checks the range before the version" do
      store(random_bytes(12 * TestStore::MEBIBYTE))
      refusal = lambda do |request|
        next unless request.part == 2 && new_client.size(key) > 3

        store("new")
        { status: 416, answer: "<Error><Code>InvalidRange</Code></Error>" }
      end
      RefusingStore.run(server.endpoint, refusal) do |proxy|
        client = new_client(**new_settings, endpoint: proxy.endpoint, decryption_keys: [TestStore::KEY])
        expect(client.rotate(key, largest_copy: 5 * TestStore::MEBIBYTE).outcome).to eq(:rotated)
      end
      expect(later.download(key)).to eq("new")
    end
  end

  it "does not disturb readers" do
    store(data = random_bytes(12 * TestStore::MEBIBYTE))
    keys = [[TestStore::KEY_ID, TestStore::KEY], ["2026", new_key]]
    clients = [keys, keys.reverse].map do |(id, value), former|
      new_client(encryption_key: value, encryption_key_id: id, decryption_keys: [former].to_h)
    end
    reading = true
    readers = Array.new(2) do
      Thread.new do
        read = []
        read << clients.first.download_chunk(key, 1000...2000) while reading
        read
      end
    end
    outcomes = Array.new(20) { |number| clients[(number + 1) % 2].rotate(key).outcome }
    reading = false
    expect(outcomes.uniq).to eq([:rotated])
    expect(readers.flat_map(&:value).uniq).to eq([data[1000...2000]])
    expect(clients.first.download(key)).to be_bytes(data)
  end

  # Ceph answers so when it is being written all the time; Amazon never does.
  it "does not disturb a reader whose store refuses to read an object during a write" do
    store(data = random_bytes(1000))
    busy = { status: 409, answer: "<Error><Code>ConcurrentModification</Code></Error>" }
    FaultProxy.run(server.endpoint) do |proxy|
      proxy.fault("GetObject", times: 2, **busy)
      expect(new_client(endpoint: proxy.endpoint).download(key)).to be_bytes(data)
      expect(proxy.requests("GetObject").size).to eq(3)
    end
  end

  it "fails if no key opens the object, which stays unchanged" do
    store
    before = object_itself(key)
    expect { later.rotate(key) }.to raise_error(EncryptedS3Service::KeyringError, /spec-key/)
    expect(object_itself(key)).to eq(before)
    expect { later.rotate(unique_key) }.to raise_error(EncryptedS3Service::NotFoundError)
  end

  describe "by encrypting again" do
    let(:committing) do
      new_client(**new_settings, decryption_keys: { TestStore::KEY_ID => TestStore::KEY },
                                 commitment_policy: "require_encrypt_allow_decrypt")
    end

    it "changes V2 to V3 under the new key" do
      store(data = random_bytes(6_000_000))
      committing.reencrypt(key, checksum: md5(data))
      expect(committing.envelope(key)).to have_attributes(format: "v3", key_id: "2026")
      expect(later.download(key)).to be_bytes(data)
    end

    it "leaves an object with another checksum unchanged" do
      store
      before = object_itself(key)
      [md5("other"), "sha256:#{[OpenSSL::Digest.digest("SHA256", "other")].pack("m0")}"].each do |checksum|
        expect { committing.reencrypt(key, checksum: checksum) }.to raise_error(EncryptedS3Service::ChecksumError)
      end
      expect(object_itself(key)).to eq(before)
    end
  end
end
