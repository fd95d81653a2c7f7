# frozen_string_literal: true

require_relative "../support/aws_clients"
require_relative "../support/encryption_client"
require_relative "../support/fault_proxy"

# A person who can write to the bucket can have the store copy one object to the key of another.
RSpec.describe EncryptedS3Service::Client, "and the place of objects" do
  let(:client) { new_client }
  let(:key) { unique_key("Verträge/a") }
  let(:other) { unique_key("Verträge/b") }

  policies = { "V2" => "forbid_encrypt_allow_decrypt", "V3" => "require_encrypt_allow_decrypt" }

  # By the store itself, like an administrator or a thief with write access.
  def copy(from, to)
    AwsClients.plain.copy_object(bucket: bucket, copy_source: "#{bucket}/#{ERB::Util.url_encode(from)}", key: to)
  end

  def rename(from, to)
    copy(from, to)
    AwsClients.plain.delete_object(bucket: bucket, key: from)
  end

  def swap(one, another)
    copy(one, aside = unique_key)
    rename(another, one)
    rename(aside, another)
  end

  def expect_misplaced(reader = client, name: key)
    yielded = []
    calls = [-> { reader.download(name) }, -> { reader.download(name) { |chunk| yielded << chunk } },
             -> { reader.download_chunk(name, 0...1) }, -> { reader.reader(name) },
             -> { Tempfile.create { |file| reader.download_file(name, file) } }, -> { reader.rotate(name) },
             -> { reader.reencrypt(name) }, -> { reader.compose([name], unique_key) }]
    expect(calls).to all(raise_error(EncryptedS3Service::TamperedError) { |e| expect(e.code).to eq("misplaced") })
    expect(yielded).to eq([])
  end

  def entry_of(name = key) = stored(name).first["x-amz-meta-encrypted-s3-place"]

  it "are their keys byte by byte: a letter and an accent are another place than the letter with the accent" do
    composed, decomposed = %W[\u00e9 e\u0301].map { |letter| "#{key}#{letter}" }
    client.upload(composed, StringIO.new("composed"))
    expect(client.exist?(decomposed)).to be(false)
    client.upload(decomposed, StringIO.new("decomposed"))
    expect([composed, decomposed].map { |name| client.download(name) }).to eq(%w[composed decomposed])
    copy(composed, decomposed)
    expect_misplaced(name: decomposed)
  end

  policies.each do |format, policy|
    describe "in format #{format}" do
      let(:client) { new_client(commitment_policy: policy) }

      it "refuses both of two swapped objects, in every way of reading, and reads them when they are restored" do
        client.upload(key, StringIO.new("one"))
        client.upload(other, StringIO.new("another"))
        swap(key, other)
        [key, other].each { |name| expect_misplaced(name: name) }
        swap(key, other)
        expect([client.download(key), client.download(other)]).to eq(%w[one another])
      end

      it "refuses a renamed object, a large one before its body is read" do
        client.upload(other, StringIO.new(random_bytes(20 * TestStore::MEBIBYTE)))
        rename(other, key)
        expect_misplaced
      end

      it "reads a renamed object with place_binding: off" do
        client.upload(other, StringIO.new("data"))
        rename(other, key)
        expect(new_client(place_binding: "off").download(key)).to eq("data")
      end
    end
  end

  it "refuses a renamed object with an RSA wrapping key" do
    client = new_client(encryption_key: OpenSSL::PKey::RSA.new(2048).to_pem)
    client.upload(other, StringIO.new("data"))
    expect(client.download(other)).to eq("data")
    rename(other, key)
    expect_misplaced(client)
  end

  it "names the problem, and shows neither key nor entry" do
    client.upload(other, StringIO.new("data"))
    rename(other, key)
    expect { client.download(key) }.to raise_error(EncryptedS3Service::TamperedError) { |error|
      expect(error.message).to include(key, "was not written under this key", "`rebind` binds it to its new key")
      expect(error.message).not_to include(entry_of)
    }
  end

  it "reads an object in another bucket, because mirrors and replication keep the key" do
    server.create_bucket("#{bucket}-replica")
    client.upload(key, StringIO.new("data"))
    AwsClients.plain.copy_object(bucket: "#{bucket}-replica", key: key,
                                 copy_source: "#{bucket}/#{ERB::Util.url_encode(key)}")
    expect(new_client(bucket: "#{bucket}-replica", place_binding: "require").download(key)).to eq("data")
  end

  it "refuses an object whose entry was changed, duplicated, or taken from another object" do
    client.upload(key, StringIO.new("data"))
    client.upload(other, StringIO.new("data"))
    headers, body = stored(key)
    [entry_of(other), "nonsense", "A" * 44, "#{entry_of}="].each do |value|
      restore(key, { **headers, "x-amz-meta-encrypted-s3-place" => value }, body)
      expect_misplaced
    end
  end

  it "binds composed and reencrypted objects to the new key" do
    client.upload(key, StringIO.new("a"))
    client.compose([key, key], other)
    client.reencrypt(other)
    expect(new_client(place_binding: "require").download(other)).to eq("aa")
  end

  describe "of an object without an entry" do
    let(:strict) { new_client(place_binding: "require") }

    before { new_client(place_binding: "off").upload(key, StringIO.new("data")) }

    it "reads it unless entries are required; then the error says how to add one" do
      expect(entry_of).to be_nil
      expect([client.download(key), client.envelope(key).bound]).to eq(["data", false])
      [-> { strict.download(key) }, -> { strict.download_chunk(key, 0..0) }, -> { strict.rotate(key) },
       -> { strict.reencrypt(key) }].each do |call|
        expect(&call).to raise_error(EncryptedS3Service::PolicyError, /place_binding: verify.*:rotate/) { |error|
          expect(error.code).to eq("place-required")
        }
      end
    end

    it "adds one by rotation under the same key, once, and moves no body" do
      body = stored(key).last
      expect(client.rotate(key)).to have_attributes(outcome: :rotated)
      expect([client.envelope(key).bound, stored(key).last, strict.download(key)]).to eq([true, body, "data"])
      expect(client.rotate(key)).to have_attributes(outcome: :current)
      rename(key, other)
      expect_misplaced(name: other)
    end

    it "adds none with place_binding: off" do
      expect(new_client(place_binding: "off").rotate(key)).to have_attributes(outcome: :current)
      expect(entry_of).to be_nil
    end

    it "adds one when it is encrypted again" do
      client.reencrypt(key)
      expect(strict.download(key)).to eq("data")
    end
  end

  it "keeps the entry when the key is changed" do
    client.upload(key, StringIO.new("data"))
    before = entry_of
    settings = { encryption_key: "n" * 32, encryption_key_id: "2026" }
    %w[off verify require].each do |binding|
      new_client(**settings, decryption_keys: { TestStore::KEY_ID => TestStore::KEY },
                             place_binding: binding).rotate(key)
      expect(entry_of).to eq(before)
    end
    expect(new_client(**settings, place_binding: "require").download(key)).to eq("data")
  end

  describe "#rebind" do
    before do
      client.upload(other, StringIO.new("data"), content_type: "text/x-mine")
      rename(other, key)
    end

    it "binds a renamed object to its key if it was written under the given one" do
      body = stored(key).last
      expect(client.rebind(key, from: other)).to be(true)
      expect([client.download(key), stored(key).last]).to eq(["data", body])
      expect(stored(key).first["content-type"]).to eq("text/x-mine")
      expect(client.rebind(key, from: other)).to be(false)
      expect(new_client(place_binding: "require").download(key)).to eq("data")
    end

    it "needs the wrapping key, and says that it is destroyed" do
      keyless = EncryptedS3Service::KeylessClient.new("specs", **TestStore.settings)
      expect { keyless.rebind(key, from: other) }
        .to raise_error(EncryptedS3Service::KeyDestroyedError, /The key of specs is destroyed/)
    end

    it "refuses a wrong former key, and changes nothing" do
      before = object_itself(key)
      expect { client.rebind(key, from: unique_key) }
        .to raise_error(EncryptedS3Service::TamperedError, /neither under this key nor under/)
      expect(object_itself(key)).to eq(before)
    end

    it "refuses an object without an entry" do
      new_client(place_binding: "off").upload(key, StringIO.new("data"))
      expect { client.rebind(key, from: other) }.to raise_error(EncryptedS3Service::PolicyError, /rotate/)
    end

    it "requires the former key, and an object" do
      expect { new_client(encryption_key: "n" * 32).rebind(key, from: other) }
        .to raise_error(EncryptedS3Service::UnwrapError)
      expect { client.rebind(other, from: key) }.to raise_error(EncryptedS3Service::NotFoundError)
    end
  end

  it "accepts one of three words as the setting" do
    expect { new_client(place_binding: "strict") }
      .to raise_error(EncryptedS3Service::ConfigurationError, /place_binding must be one of off, verify, require/)
    expect(new_client.configuration.place_binding).to eq("verify")
  end

  it "makes no additional request" do
    FaultProxy.run(server.endpoint) do |proxy|
      bound = new_client(endpoint: proxy.endpoint, place_binding: "require")
      bound.upload(key, StringIO.new("data"))
      bound.download(key)
      expect(proxy.requests.map(&:verb)).to eq(%w[PUT GET])
    end
  end

  describe "for Amazon's clients" do
    it "is an additional entry that the Ruby client of V2 ignores" do
      client.upload(key, StringIO.new("data"))
      expect(entry_of).to match(%r{\A[A-Za-z0-9+/]{43}=\z})
      expect(AwsClients.v2(TestStore::KEY).get_object(bucket: bucket, key: key).body.read).to eq("data")
    end

    it "is an additional entry that the Ruby client of V3 ignores" do
      skip "aws-sdk-s3 #{Aws::S3::GEM_VERSION} has no such client" unless defined?(Aws::S3::EncryptionV3)
      new_client(commitment_policy: policies["V3"]).upload(key, StringIO.new("data"))
      expect(entry_of).to match(%r{\A[A-Za-z0-9+/]{43}=\z})
      expect(AwsClients.v3(TestStore::KEY).get_object(bucket: bucket, key: key).body.read).to eq("data")
    end

    policies.each do |format, policy|
      it "is an additional entry that the Python client ignores, in format #{format}" do
        new_client(commitment_policy: policy).upload(key, StringIO.new("data"))
        expect(entry_of).to match(%r{\A[A-Za-z0-9+/]{43}=\z})
        python = EncryptionClient.new(wrapping_key: [TestStore::KEY].pack("m0"), commitment_policy: policy)
        expect(python.get(key)).to eq("data")
      end
    end
  end
end
