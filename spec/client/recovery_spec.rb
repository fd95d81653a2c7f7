# frozen_string_literal: true

require "json"
require "open3"
require "rbconfig"
require_relative "../support/aws_clients"
require_relative "../support/encryption_client"
require_relative "../support/fault_proxy"

RSpec.describe EncryptedS3Service::RecoveryClient do
  vectors = JSON.parse(File.read(File.expand_path("../vectors/recovery/vectors.json", __dir__)))
  policies = { "V2" => "forbid_encrypt_allow_decrypt", "V3" => "require_encrypt_allow_decrypt" }

  let(:key) { unique_key }
  let(:pairs) { vectors["keys"] }
  let(:public_keys) { pairs.map { |pair| pair["public_key"] } }
  let(:client) { new_client(recovery_keys: public_keys.take(1)) }

  def private_der(at) = OpenSSL::PKey.read(pairs[at]["private_key"]).private_to_der

  def recovery_client(at = 0, **overrides)
    described_class.new(private_der(at), **TestStore.settings.except(:encryption_key, :encryption_key_id), **overrides)
  end

  def entry(of = key) = stored(of).first["x-amz-meta-encrypted-s3-recovery"]

  def store(text = "content", into: client) = into.upload(key, StringIO.new(text))

  def error_of
    yield
    nil
  rescue EncryptedS3Service::Error => e
    e
  end

  def with_entry(value)
    headers, body = stored(key)
    restore(key, { **headers, "x-amz-meta-encrypted-s3-recovery" => value }, body)
  end

  policies.each do |format, policy|
    describe "in format #{format}" do
      let(:client) { new_client(recovery_keys: public_keys, commitment_policy: policy) }

      it "opens every new object with each of the recovery keys and no other key" do
        store
        [0, 1].each { |at| expect(recovery_client(at).download(key)).to eq("content") }
        expect(client.download(key)).to eq("content")
      end

      it "opens large objects stored in parts, in chunks and ranges" do
        data = random_bytes(20 << 20)
        client.upload(key, StringIO.new(data))
        expect(recovery_client.download(key) == data).to be(true)
        expect(recovery_client.download_chunk(key, 17_000_000..17_000_009)).to eq(data[17_000_000..17_000_009])
      end

      it "writes objects that an independent implementation of the document opens" do
        store("to be recovered")
        headers, body = stored(key)
        metadata = headers.filter_map do |name, value|
          [name.delete_prefix("x-amz-meta-"), value] if name.start_with?("x-amz-meta-")
        end
        input = JSON.generate(private_key: pairs[1]["private_key"], metadata: metadata.to_h, body: [body].pack("m0"))
        script = File.expand_path("../vectors/recovery/generate.py", __dir__)
        output, errors, status = Open3.capture3(EncryptionClient.python, script, "check", stdin_data: input)
        expect([errors, status.exitstatus]).to eq(["", 0])
        expect(output.unpack1("m")).to eq("to be recovered")
      end

      it "is ignored by Amazon's clients" do
        store
        expect(entry).not_to be_nil
        if format == "V2"
          expect(AwsClients.v2(TestStore::KEY).get_object(bucket: bucket, key: key).body.read).to eq("content")
        elsif defined?(Aws::S3::EncryptionV3)
          expect(AwsClients.v3(TestStore::KEY).get_object(bucket: bucket, key: key).body.read).to eq("content")
        end
        python = EncryptionClient.new(wrapping_key: [TestStore::KEY].pack("m0"), commitment_policy: policy)
        expect(python.get(key)).to eq("content")
      end

      it "refuses the entry of another object, and names the problem" do
        store
        other = unique_key
        client.upload(other, StringIO.new("other"))
        with_entry(entry(other))
        expect(error_of { recovery_client.download(key) }).to be_a(EncryptedS3Service::TamperedError)
        expect(client.download(key)).to eq("content")
      end

      # Anybody with the public key can wrap a data key of their own.
      it "refuses an entry that was forged for another data key" do
        store
        with_entry(forged(format == "V2" ? 2 : 3))
        expect(error_of { recovery_client.download(key) }).to be_a(EncryptedS3Service::IntegrityError)
        expect(error_of { recovery_client.download_chunk(key, 0..2) }).to be_a(EncryptedS3Service::IntegrityError)
        expect(client.download(key)).to eq("content")
      end
    end
  end

  # An entry that is correct for this object, with a data key of the forger.
  def forged(format)
    data_key = SecureRandom.bytes(32)
    public_key = OpenSSL::PKey.read(public_keys.first)
    wrapped = public_key.encrypt(data_key, { "rsa_padding_mode" => "oaep", "rsa_oaep_md" => "sha256" })
    fingerprint = OpenSSL::Digest.digest("SHA256", public_key.public_to_der)[0, 8]
    statement = [1, 1].pack("CC") + fingerprint + [wrapped.bytesize].pack("n") + wrapped
    mac_key = OpenSSL::KDF.hkdf(data_key, salt: "encrypted_s3_service/recovery/v1", info: "recovery key", length: 32,
                                          hash: "SHA512")
    id = stored(key).first[format == 2 ? "x-amz-meta-x-amz-iv" : "x-amz-meta-x-amz-i"].unpack1("m0").ljust(28, "\0")
    [statement + OpenSSL::HMAC.digest("SHA256", mac_key, [format].pack("C") + id + statement)].pack("m0")
  end

  it "refuses a moved object" do
    store
    other = unique_key
    restore(other, *stored(key))
    expect(error_of do
             recovery_client.download(other)
           end).to have_attributes(class: EncryptedS3Service::TamperedError, code: "misplaced")
  end

  it "names the recovery keys of an object, and reports an object without any" do
    store
    expect(error_of { recovery_client(1).download(key) }).to be_a(EncryptedS3Service::UnwrapError)
      .and have_attributes(message: /recovery key #{pairs[1]["fingerprint"]}; it is for: #{pairs[0]["fingerprint"]}/)
    store(into: new_client)
    expect(error_of { recovery_client.download(key) }).to be_a(EncryptedS3Service::KeyringError)
      .and have_attributes(message: /no recovery key opens it: it was stored without `recovery_keys`/)
  end

  it "can only read" do
    store
    calls = { upload: StringIO.new("x"), compose: nil, rotate: nil, rebind: nil, reencrypt: nil, index: nil }
    calls.each_key do |operation|
      expect { recovery_client.public_send(operation, key, *calls[operation]) }
        .to raise_error(EncryptedS3Service::UnsupportedOperationError), operation.to_s
    end
    expect(client.download(key)).to eq("content")
    expect(recovery_client.inspect).not_to include("BEGIN")
  end

  it "makes no additional request and does not use the application's keys" do
    FaultProxy.run(server.endpoint) do |proxy|
      new_client(endpoint: proxy.endpoint, recovery_keys: public_keys).upload(key, StringIO.new("x"))
      recovery_client(endpoint: proxy.endpoint).download(key)
      expect(proxy.requests.map(&:verb)).to eq(%w[PUT GET])
    end
  end

  describe "the entry" do
    it "is added by rotation if it is missing, replaced if the keys changed, and otherwise kept" do
      store(into: new_client)
      expect(client.rotate(key, verify: true).outcome).to eq(:rotated)
      first = entry
      expect(client.rotate(key).outcome).to eq(:current)
      expect(new_client.rotate(key).outcome).to eq(:current)
      expect(entry).to eq(first)
      both = new_client(recovery_keys: public_keys)
      expect(both.rotate(key).outcome).to eq(:rotated)
      expect([0, 1].map { |at| recovery_client(at).download(key) }).to eq(%w[content content])
      expect(client.envelope(key).recovery).to eq(pairs.map { |pair| pair["fingerprint"] })
      other = new_client(recovery_keys: public_keys.drop(1))
      expect(other.rotate(key).outcome).to eq(:rotated)
      expect(error_of { recovery_client(0).download(key) }).to be_a(EncryptedS3Service::UnwrapError)
    end

    it "is kept when the wrapping key changes and when an object is renamed" do
      store
      new_client(encryption_key: "n" * 32, encryption_key_id: nil, decryption_keys: [TestStore::KEY]).rotate(key)
      expect(recovery_client.download(key)).to eq("content")
      moved = unique_key
      restore(moved, *stored(key))
      new_client(encryption_key: "n" * 32, encryption_key_id: nil).rebind(moved, from: key)
      expect(recovery_client.download(moved)).to eq("content")
    end

    it "is written again by compose and by encrypting again" do
      store
      composed = unique_key
      client.compose([key, key], composed)
      expect(recovery_client.download(composed)).to eq("contentcontent")
      store(into: new_client)
      client.reencrypt(key)
      expect(recovery_client.download(key)).to eq("content")
    end

    it "is repaired by rotation if it belongs to another object" do
      store
      other = unique_key
      client.upload(other, StringIO.new("other"))
      with_entry(entry(other))
      expect(client.rotate(key).outcome).to eq(:rotated)
      expect(recovery_client.download(key)).to eq("content")
    end
  end

  describe "settings" do
    def refusal(keys, **)
      new_client(recovery_keys: keys, **)
      nil
    rescue EncryptedS3Service::ConfigurationError => e
      e.message
    end

    it "accept public keys in PEM, in files, alone, in a list and with names" do
      Tempfile.create do |file|
        file.write(public_keys.first)
        file.flush
        [public_keys.first, public_keys, ["file:#{file.path}"], { "safe" => Pathname(file.path) }].each do |keys|
          configuration = new_client(recovery_keys: keys).configuration
          expect(configuration.recovery_fingerprints).to include(pairs[0]["fingerprint"])
        end
      end
      expect(new_client.configuration.recovery_fingerprints).to be_empty
    end

    it "refuse private keys, small keys, keys other than RSA, and duplicates" do
      expect(refusal([pairs[0]["private_key"]])).to match(/recovery_keys.0 is a private key, which must not be here/)
      expect(refusal({ "safe" => OpenSSL::PKey::RSA.new(1024).public_to_pem })).to match(/recovery_keys.safe .*2,?048/)
      expect(refusal([OpenSSL::PKey::EC.generate("prime256v1").public_to_pem])).to match(/RSA/)
      expect(refusal(["base64:#{["x" * 32].pack("m0")}"])).to match(/public RSA key in PEM/)
      expect(refusal(public_keys.take(1) * 2)).to match(/same key twice/)
      expect(refusal(["file:/not/there"])).to match(/cannot be read/)
    end

    it "refuse keys that do not fit into the metadata of an object, at boot" do
      small = Array.new(5) { OpenSSL::PKey::RSA.new(2048).public_to_pem }
      expect(refusal(small.take(4))).to be_nil
      expect(refusal(small)).to match(/recovery_keys do not fit: .* \d+ bytes of metadata, and S3 stores 2048/)
      wide = pairs[1]["private_key"]
      expect(refusal(small.take(2), encryption_key: wide, encryption_key_id: nil)).to be_nil
      expect(refusal(small.take(3), encryption_key: wide, encryption_key_id: nil)).to match(/do not fit/)
    end

    policies.each do |format, policy|
      [["an AES key", { encryption_key_id: "x" * 128 }],
       ["an RSA key", { encryption_key: vectors["keys"][1]["private_key"], encryption_key_id: nil }]]
        .each do |name, settings|
          it "count the metadata of #{format} under #{name} as objects have it" do
            client = new_client(recovery_keys: public_keys.take(1), commitment_policy: policy, **settings)
            store(into: client)
            metadata = stored(key).first.select { |header, _| header.start_with?("x-amz-meta-") }
            stored_size = metadata.sum { |pair| pair.sum(&:bytesize) }
            keys = EncryptedS3Service::RecoveryKeys.new(
              EncryptedS3Service::Configuration::Options.new({ recovery_keys: public_keys.take(1) }), false
            )
            counted = keys.metadata_size(client.configuration.encryption_key, format.downcase, place: true)
            expect(counted - stored_size).to be_between(0, 16)
          end
        end
    end
  end

  describe "the command" do
    around { |example| Dir.mktmpdir { |folder| Dir.chdir(folder) { example.run } } }

    def run(*arguments, env: {})
      folder = File.expand_path("../..", __dir__)
      settings = TestStore.settings
      environment = { "AWS_ACCESS_KEY_ID" => settings[:access_key_id],
                      "AWS_SECRET_ACCESS_KEY" => settings[:secret_access_key],
                      "AWS_REGION" => settings[:region], "ENCRYPTION_KEY" => nil, **env }
      output, errors, status = Open3.capture3(environment, RbConfig.ruby, "-rbundler/setup", "-I", "#{folder}/lib",
                                              "#{folder}/exe/encrypted_s3_service", *arguments, binmode: true)
      [output, errors, status.exitstatus]
    end

    def connection = ["--endpoint", TestStore.settings[:endpoint], "--path-style"]

    before { File.write("recovery.pem", pairs[0]["private_key"]) }

    it "opens an object of the bucket, and one in local files, with only the recovery key" do
      store
      expect(run("decrypt", "s3://#{bucket}/#{key}", "--recovery-key", "recovery.pem",
                 *connection)).to eq(["content", "", 0])
      object = AwsClients.plain.get_object(bucket: bucket, key: key, response_target: "body")
      File.write("body.metadata.json", JSON.generate("Metadata" => object.metadata))
      expect(run("decrypt", "body", "--recovery-key", "recovery.pem")).to eq(["content", "", 0])
      expect(run("decrypt", "body", "--recovery-key", "recovery.pem", "--object-key", key)).to eq(["content", "", 0])
      expect(run("decrypt", "body", "--recovery-key", "recovery.pem", "--object-key", "other").last).to eq(1)
    end

    it "opens the vectors of another program" do
      vectors["objects"].each do |object|
        File.binwrite("body", [object["body"]].pack("H*"))
        File.write("body.metadata.json", JSON.generate(object["metadata"]))
        expect(run("decrypt", "body", "--recovery-key", "recovery.pem", "--object-key", object["key"]))
          .to eq([object["plaintext"], "", 0])
      end
    end

    it "accepts an encrypted recovery key with its passphrase" do
      store
      File.write("recovery.pem",
                 OpenSSL::PKey.read(pairs[0]["private_key"]).private_to_pem(OpenSSL::Cipher.new("aes-256-cbc"), "pass"))
      address = ["decrypt", "s3://#{bucket}/#{key}", "--recovery-key", "recovery.pem", *connection]
      expect(run(*address, env: { "ENCRYPTION_KEY_PASSPHRASE" => "pass" })).to eq(["content", "", 0])
      expect(run(*address)).to match(["", /the recovery key is encrypted, but ENCRYPTION_KEY_PASSPHRASE is missing/, 1])
    end

    it "says that the recovery entry was changed" do
      store
      headers, body = stored(key)
      restore(key, headers.merge("x-amz-meta-encrypted-s3-recovery" => "AAEC"), body)
      expect(run("inspect", "s3://#{bucket}/#{key}", *connection).first)
        .to match(/^recovery keys: +\(the entry is damaged\)$/)
    end

    it "names the recovery keys of an object, and the problem" do
      store
      expect(run("inspect", "s3://#{bucket}/#{key}",
                 *connection).first).to match(/^recovery keys: +#{pairs[0]["fingerprint"]}$/)
      File.write("public.pem", public_keys.first)
      expect(run("decrypt", "s3://#{bucket}/#{key}", "--recovery-key", "public.pem",
                 *connection)).to match(["", /is a public key/, 1])
      expect(run("encrypt", "public.pem", "-o", "x", "--recovery-key",
                 "recovery.pem")).to match(["", /--recovery-key is for decrypt only/, 2])
    end
  end
end
