# frozen_string_literal: true

require_relative "../support/aws_clients"
require_relative "../support/encryption_client"

RSpec.describe EncryptedS3Service::Client, "key commitment" do
  let(:key) { unique_key }
  let(:committing) { new_client(commitment_policy: "require_encrypt_allow_decrypt") }
  let(:strict) { new_client(commitment_policy: "require_encrypt_require_decrypt") }
  let(:python) { EncryptionClient.new(wrapping_key: [TestStore::KEY].pack("m0")) }

  def metadata(name) = stored(key).first.fetch("x-amz-meta-#{name}", nil)

  it "writes V2 by default, and V3 if the policy requires it" do
    new_client.upload(key, StringIO.new("data"))
    expect([metadata("x-amz-wrap-alg"), metadata("x-amz-c")]).to eq(["AES/GCM", nil])
    committing.upload(key, StringIO.new("data"))
    expect([metadata("x-amz-w"), metadata("x-amz-c"), metadata("x-amz-key-v2")]).to eq(["02", "115", nil])
  end

  it "stores with V3 only the format's own entries, the key's id and the place entry" do
    committing.upload(key, StringIO.new("data"))
    entries = stored(key).first.keys.filter_map { |name| name[/\Ax-amz-meta-(.+)/, 1] }
    expect(entries).to match_array(%w[encrypted-s3-place x-amz-3 x-amz-c x-amz-d x-amz-i x-amz-m x-amz-w])
    expect(JSON.parse(metadata("x-amz-m"))).to eq("key_id" => TestStore::KEY_ID)
  end

  [0, 1, 17, 5_242_881, 20_971_520].each do |size|
    it "reads back #{size} bytes, whole, in chunks and in ranges" do
      strict.upload(key, StringIO.new(data = random_bytes(size)), checksum: md5(data))
      chunks = []
      strict.download(key) { |chunk| chunks << chunk }
      expect(chunks.join).to be_bytes(data)
      expect(strict.size(key)).to eq(size)
      expect(strict.download_chunk(key, (size / 2)..)).to be_bytes(data.byteslice((size / 2)..)) if size.positive?
    end
  end

  it "stores objects that OpenSSL alone decrypts according to the published format" do
    strict.upload(key, StringIO.new(data = random_bytes(6_000_000)))
    expect(stored_plaintext(key)).to be_bytes(data)
  end

  describe "Amazon's Python client" do
    { "0 bytes" => 0, "17 bytes" => 17, "5 MiB and 1 byte" => 5_242_881 }.each do |name, size|
      it "reads our objects: #{name}" do
        strict.upload(key, StringIO.new(data = random_bytes(size)))
        expect(python.get(key)).to be_bytes(data)
      end

      it "writes objects that we read: #{name}" do
        python.put(key, data = random_bytes(size))
        expect(strict.download(key)).to be_bytes(data)
      end
    end

    it "reads our objects in several parts" do
      strict.upload(key, StringIO.new(data = random_bytes(20 * TestStore::MEBIBYTE)))
      expect(python.get(key)).to be_bytes(data)
    end

    it "reads and writes V2 too" do
      python = EncryptionClient.new(wrapping_key: [TestStore::KEY].pack("m0"),
                                    commitment_policy: "forbid_encrypt_allow_decrypt")
      new_client.upload(key, StringIO.new("ours"))
      python.put(theirs = unique_key, "theirs")
      expect([python.get(key), new_client.download(theirs)]).to eq(%w[ours theirs])
    end
  end

  it "reads V2 and V3 unless the policy requires commitment, which refuses V2 and names the policy that reads it" do
    new_client.upload(old = unique_key, StringIO.new("v2"))
    strict.upload(key, StringIO.new("v3"))
    expect([new_client, committing].flat_map { |client| [client.download(old), client.download(key)] })
      .to eq(%w[v2 v3 v2 v3])
    expect { strict.download(old) }.to raise_error(EncryptedS3Service::PolicyError) { |e|
      expect(e.message).to match(/commitment_policy.*require_encrypt_allow_decrypt would read it/)
      expect(e.code).to eq("commitment-required")
    }
  end

  it "refuses an object whose data key was replaced by another object's" do
    strict.upload(key, StringIO.new("mine"))
    strict.upload(other = unique_key, StringIO.new("theirs"))
    headers, body = stored(key)
    restore(key, { **headers, "x-amz-meta-x-amz-3" => stored(other).first["x-amz-meta-x-amz-3"] }, body)
    expect { strict.download(key) }
      .to raise_error(EncryptedS3Service::TamperedError, /commitment does not match/) { |e|
        expect(e.code).to eq("commitment")
      }
  end

  it "refuses a V3 object with the marks of V2 and a V2 object with the marks of V3" do
    strict.upload(key, StringIO.new("v3"))
    headers, body = stored(key)
    restore(key, { **headers, "x-amz-meta-x-amz-key-v2" => headers["x-amz-meta-x-amz-3"] }, body)
    expect { strict.download(key) }.to raise_error(have_attributes(code: "format-confusion"))
    new_client.upload(key, StringIO.new("v2"))
    headers, body = stored(key)
    restore(key, { **headers, "x-amz-meta-x-amz-c" => "115" }, body)
    expect { new_client.download(key) }.to raise_error(have_attributes(code: "format-confusion"))
  end

  describe "settings" do
    def refusal(**)
      new_client(**)
      nil
    rescue EncryptedS3Service::ConfigurationError => e
      e.message
    end

    it "refuses contradictory settings when the client is built, and names both" do
      expect(refusal(security_profile: "v2", commitment_policy: "require_encrypt_allow_decrypt"))
        .to match(/\Asecurity_profile v2 contradicts commitment_policy require_encrypt_allow_decrypt/)
      expect(refusal(security_profile: "v3_and_legacy", commitment_policy: "require_encrypt_require_decrypt"))
        .to match(/\Asecurity_profile v3_and_legacy contradicts commitment_policy require_encrypt_require_decrypt/)
    end

    it "refuses unknown names, and lists the known ones" do
      expect(refusal(commitment_policy: "always"))
        .to eq("commitment_policy must be one of forbid_encrypt_allow_decrypt, require_encrypt_allow_decrypt, " \
               "require_encrypt_require_decrypt")
      expect(refusal(security_profile: "v4"))
        .to eq("security_profile must be one of v2, v2_and_legacy, v3, v3_and_legacy")
    end

    it "accepts the symbols that Amazon's clients accept" do
      client = new_client(security_profile: :v3, commitment_policy: :require_encrypt_require_decrypt)
      client.upload(key, StringIO.new("data"))
      expect(metadata("x-amz-c")).to eq("115")
    end

    it "follows security_profile v3 alone, like Amazon's V3 client: only V3 is written and read" do
      client = new_client(security_profile: "v3")
      client.upload(key, StringIO.new("data"))
      new_client.upload(old = unique_key, StringIO.new("v2"))
      expect(client.download(key)).to eq("data")
      expect { client.download(old) }.to raise_error(EncryptedS3Service::PolicyError)
    end
  end
end
