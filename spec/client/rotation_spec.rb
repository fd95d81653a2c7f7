# frozen_string_literal: true

require_relative "../support/fault_proxy"

# A new key for what is stored already, without moving it.
RSpec.describe EncryptedS3Service::Client, "giving stored objects a new key" do
  let(:old_key) { OpenSSL::Digest.digest("SHA256", "the key of last year") }
  let(:key) { unique_key("Jahresabschluß 2024/über alles.pdf") }
  let(:data) { random_bytes(300_000) }

  def old_client(**settings) = new_client(encryption_key: old_key, encryption_key_id: "2024", **settings)

  # The new key writes, the old one reads.
  def both(**settings) = new_client(decryption_keys: { "2024" => old_key }, **settings)

  def store(data, client: old_client) = client.upload(key, StringIO.new(data), content_type: "application/x-ours")

  %w[forbid_encrypt_allow_decrypt require_encrypt_allow_decrypt].each do |policy|
    it "leaves body, type and other metadata as they are, and needs the old key no more (#{policy})" do
      store(data, client: old_client(commitment_policy: policy))
      headers, body = stored(key)
      metadata = headers.select { |name, _| name.start_with?("x-amz-meta-") }
      status, = server.put(bucket, key, body, { **metadata, "x-amz-meta-owner" => "somebody",
                                                            "content-type" => headers["content-type"] })
      expect(status).to eq(200)
      expect { new_client.download(key) }.to raise_error(EncryptedS3Service::UnwrapError, /"2024"/)

      format = policy.start_with?("require") ? "v3" : "v2"
      expect(both.rotate(key).to_h).to eq(outcome: :rotated, format: format, reason: nil)
      expect(new_client.download(key)).to be_bytes(data)
      expect { old_client.download(key) }.to raise_error(EncryptedS3Service::UnwrapError)
      new_headers, new_body = stored(key)
      expect(new_body).to be_bytes(body)
      expect(new_headers).to include("content-type" => "application/x-ours", "x-amz-meta-owner" => "somebody")
      expect(both.stat(key)).to have_attributes(key_id: TestStore::KEY_ID, format: format, size: data.bytesize)
    end
  end

  it "does nothing the second time" do
    store(data)
    both.rotate(key)
    headers, = stored(key)
    expect(both.rotate(key).outcome).to eq(:current)
    expect(stored(key).first["last-modified"]).to eq(headers["last-modified"])
  end

  it "copies a large object in parts" do
    data = random_bytes(12 * TestStore::MEBIBYTE)
    store(data)
    expect(both.rotate(key, largest_copy: 5 * TestStore::MEBIBYTE).outcome).to eq(:rotated)
    expect(new_client.download(key)).to be_bytes(data)
    expect(stored(key).first).to include("content-type" => "application/x-ours")
    expect(server.multipart_uploads(bucket).map { |upload| upload[:key] }).not_to include(key)
  end

  it "keeps what an object was replaced by meanwhile" do
    store(data)
    proxy = FaultProxy.new(URI(server.endpoint))
    gate = proxy.hold("PutObject")
    rotating = Thread.new { both(endpoint: proxy.endpoint).rotate(key) }
    # The copy is on its way when somebody stores another file.
    gate.arrived
    store("another text")
    gate.open
    expect(rotating.value.outcome).to eq(:rotated)
    expect(new_client.download(key)).to eq("another text")
  ensure
    proxy&.stop
  end

  it "refuses what no key opens, and what is not there" do
    store(data)
    expect { new_client.rotate(key) }.to raise_error(EncryptedS3Service::UnwrapError, /#{Regexp.escape(key)}/)
    expect { both.rotate("missing") }.to raise_error(EncryptedS3Service::NotFoundError)
    expect(old_client.download(key)).to be_bytes(data)
  end

  it "leaves V2 what is V2, and encrypts it anew where that is asked for" do
    store(data)
    client = both(commitment_policy: "require_encrypt_allow_decrypt")
    expect(client.rotate(key).format).to eq("v2")
    client.reencrypt(key)
    expect(client.stat(key)).to have_attributes(format: "v3", key_id: TestStore::KEY_ID)
    expect(new_client.download(key)).to be_bytes(data)
  end

  it "wraps by an RSA key what an AES key had wrapped" do
    pair = OpenSSL::PKey::RSA.new(2048)
    store(data)
    client = new_client(encryption_key: pair.to_pem, encryption_key_id: "office",
                        decryption_keys: { "2024" => old_key })
    expect(client.rotate(key).outcome).to eq(:rotated)
    expect(new_client(encryption_key: pair.to_pem, encryption_key_id: "office").download(key)).to be_bytes(data)
  end
end
