# frozen_string_literal: true

require_relative "../support/kms"

RSpec.describe EncryptedS3Service::Client, "with a key in AWS KMS" do
  let(:arn) { Kms.create_key }
  let(:key) { unique_key }

  def client_for(key_id = arn, **) = described_class.new(**Kms.settings(key_id, **))

  # A client whose requests to KMS pass a proxy.
  def behind_proxy(**settings)
    FaultProxy.run(Kms.server.endpoint) do |proxy|
      yield proxy, client_for(kms_endpoint: proxy.endpoint, retry_limit: 1, **settings)
    end
  end

  def refusal(code) = { status: 400, answer: JSON.generate({ __type: code, message: "see s3cret" }) }

  def entries(name) = stored(name).first

  %w[forbid_encrypt_allow_decrypt require_encrypt_require_decrypt].each do |policy|
    it "reads its own objects with #{policy}, whole, in ranges and into a file" do
      client = client_for(commitment_policy: policy)
      client.upload(key, StringIO.new(data = random_bytes(3_000_000)))
      expect(client.download(key)).to be_bytes(data)
      expect(client.download_chunk(key, 1_000_000..1_000_099)).to be_bytes(data[1_000_000, 100])
      Tempfile.create do |file|
        client.download_file(key, file.binmode)
        expect(File.binread(file.path)).to be_bytes(data)
      end
    end
  end

  it "sends KMS one request for each written or read object of any size" do
    behind_proxy do |proxy, client|
      client.upload(key, StringIO.new(random_bytes(20 * TestStore::MEBIBYTE)))
      client.download(key) { |chunk| chunk }
      expect(proxy.requests.map(&:operation)).to eq(%w[GenerateDataKey Decrypt])
      client.download_chunk(key, 0..9)
      client.exist?(key)
      client.delete(key)
      expect(proxy.requests.map(&:operation)).to eq(%w[GenerateDataKey Decrypt Decrypt])
    end
  end

  it "retries independently of the failures of KMS at another address" do
    behind_proxy do |broken, client|
      broken.fault("GenerateDataKey", status: 500)
      calls = Queue.new((1..120).to_a).close
      failing = -> { client.upload(unique_key, StringIO.new("x")) rescue nil } # rubocop:disable Style/RescueModifier
      Array.new(30) { Thread.new { failing.call while calls.pop } }.each(&:join)
      behind_proxy do |proxy, other|
        proxy.fault("GenerateDataKey", times: 1, status: 500)
        expect(other.upload(key, StringIO.new("after a pause"))).to include(bytes: 13)
      end
    end
  end

  it "accepts a key id, an ARN or an alias, and stores the ARN in the object" do
    [arn, arn[%r{[^/]+\z}], Kms.create_alias(arn), "kms:#{arn}"].each do |id|
      client = client_for(id)
      client.upload(name = unique_key, StringIO.new("named"))
      expect(client.download(name, report: report = {})).to eq("named")
      expect([report[:current], client.envelope(name).key_id, client.writing_key?(client.envelope(name).key_id)])
        .to eq([true, arn, true])
    end
  end

  it "uses the region of the ARN, whatever the region of the bucket is" do
    client = client_for(Kms.create_key("eu-central-1"))
    client.upload(key, StringIO.new("over there"))
    expect(client.download(key)).to eq("over there")
  end

  it "refuses an object that replaced another" do
    client = client_for
    client.upload(key, StringIO.new("a contract"))
    restore(other = unique_key, *stored(key))
    expect { client.download(other) }.to raise_error(EncryptedS3Service::TamperedError)
  end

  it "reads objects of an older AES key while new ones are written by KMS, and the reverse" do
    new_client.upload(key, StringIO.new("before"))
    both = client_for(decryption_keys: { TestStore::KEY_ID => TestStore::KEY })
    both.upload(later = unique_key, StringIO.new("after"))
    expect([both.download(key), both.download(later)]).to eq(%w[before after])
    back = new_client(decryption_keys: ["kms:#{arn}"], kms_endpoint: Kms.server.endpoint)
    expect([back.download(key), back.download(later)]).to eq(%w[before after])
  end

  it "reads by each of several keys with contexts of their own, and requests only the one that the object names" do
    first = Kms.create_key
    second = Kms.create_key
    client_for(first, kms_encryption_context: { team: "a" }).upload(key, StringIO.new("first"))
    client_for(second).upload(other = unique_key, StringIO.new("second"))
    keys = [{ kms_key_id: first, kms_encryption_context: { team: "a" } }, "kms:#{second}"]
    behind_proxy(decryption_keys: keys) do |proxy, client|
      expect([client.download(key), client.download(other)]).to eq(%w[first second])
      expect(proxy.requests.size).to eq(2)
    end
  end

  it "uses a key that is not configured only if any key is allowed" do
    client_for.upload(key, StringIO.new("foreign"))
    other = Kms.create_key
    expect { client_for(other).download(key) }.to raise_error(EncryptedS3Service::Error)
    expect(client_for(other, kms_allow_decrypt_with_any_cmk: true).download(key)).to eq("foreign")
  end

  it "opens nothing if the context in the object was changed" do
    client = client_for(kms_encryption_context: { team: "a" })
    client.upload(key, StringIO.new("bound"))
    headers, body = stored(key)
    headers["x-amz-meta-x-amz-matdesc"] = headers["x-amz-meta-x-amz-matdesc"].sub('"a"', '"b"')
    restore(key, headers, body)
    expect { client.download(key) }.to raise_error(EncryptedS3Service::KeyringError, /kms_encryption_context/)
    expect { client_for(kms_encryption_context: { team: "b" }).download(key) }
      .to raise_error(EncryptedS3Service::UnwrapError)
  end

  describe "when KMS refuses" do
    codes = {
      "AccessDeniedException" => [EncryptedS3Service::AccessError, "access", 1, /permission kms:Decrypt/],
      "DisabledException" => [EncryptedS3Service::KeyDisabledError, "key-disabled", 1, /enable it in KMS/],
      "KMSInvalidStateException" => [EncryptedS3Service::KeyDisabledError, "key-disabled", 1, /deletion is pending/],
      "NotFoundException" => [EncryptedS3Service::KeyDestroyedError, "key-destroyed", 1, /`kms_key_id`/],
      "IncorrectKeyException" => [EncryptedS3Service::UnwrapError, "unwrap", 1, /`decryption_keys`/],
      "InvalidCiphertextException" => [EncryptedS3Service::UnwrapError, "unwrap", 1, /encryption context/],
      "InvalidKeyUsageException" => [EncryptedS3Service::ConfigurationError, "configuration", 1, /symmetric key/],
      "ExpiredTokenException" => [EncryptedS3Service::AccessError, "access", 1, /credentials/],
      "ThrottlingException" => [EncryptedS3Service::TransportError, "transport", 2, /quota of KMS/],
      "KMSInternalException" => [EncryptedS3Service::TransportError, "transport", nil, /try again later/]
    }

    codes.each do |code, (error, kind, attempts, advice)|
      it "distinguishes #{code} from other errors, after #{attempts || "some"} request(s)" do
        behind_proxy do |proxy, client|
          client.upload(key, StringIO.new("data"))
          proxy.fault("Decrypt", **refusal(code))
          expect { client.download(key) }.to raise_error(error, advice) { |raised|
            expect(raised.code).to eq(kind)
            expect(raised.message).to include(key)
            expect(raised.message).not_to include("s3cret")
          }
          expect(proxy.requests("Decrypt").size).to attempts ? eq(attempts) : be_between(1, 2)
        end
      end

      it "stores nothing when an upload gets #{code}" do
        behind_proxy do |proxy, client|
          proxy.fault("GenerateDataKey", **refusal(code))
          expect { client.upload(key, StringIO.new(random_bytes(20 * TestStore::MEBIBYTE))) }
            .to raise_error(EncryptedS3Service::Error, /#{Regexp.escape(key)}.*GenerateDataKey/m)
          expect(traces_of(key)).to be_empty
        end
      end
    end

    it "retries when KMS throttles, and then continues" do
      behind_proxy do |proxy, client|
        proxy.fault("GenerateDataKey", times: 1, **refusal("ThrottlingException"))
        proxy.fault("Decrypt", times: 1, drop: :before)
        client.upload(key, StringIO.new("patience"))
        expect(client.download(key)).to eq("patience")
      end
    end

    it "keeps the older object when an upload fails" do
      client_for.upload(key, StringIO.new("older"))
      behind_proxy do |proxy, client|
        proxy.fault("GenerateDataKey", **refusal("DisabledException"))
        expect { client.upload(key, StringIO.new("newer")) }.to raise_error(EncryptedS3Service::KeyDisabledError)
      end
      expect(client_for.download(key)).to eq("older")
    end
  end

  it "reports an unreachable KMS with the settings, and writes nothing" do
    client = client_for(kms_endpoint: "http://127.0.0.1:9", retry_limit: 0)
    expect { client.upload(key, StringIO.new("x")) }
      .to raise_error(EncryptedS3Service::TransportError, /AWS KMS was not reached: connection refused.*`kms_endpoint`/)
    expect(traces_of(key)).to be_empty
  end

  it "waits for KMS no longer than `http_read_timeout`, and can be interrupted" do
    StallingServer.run do |server|
      stalled = client_for(kms_endpoint: server.endpoint, http_read_timeout: 0.5, retry_limit: 0)
      expect { stalled.upload(key, StringIO.new("x")) }.to raise_error(EncryptedS3Service::TransportError)
      waiting = client_for(kms_endpoint: server.endpoint, http_read_timeout: 60, retry_limit: 0)
      began = Process.clock_gettime(Process::CLOCK_MONOTONIC)
      expect { Timeout.timeout(0.5) { waiting.upload(key, StringIO.new("x")) } }.to raise_error(Timeout::Error)
      expect(Process.clock_gettime(Process::CLOCK_MONOTONIC) - began).to be < 5
      expect(traces_of(key)).to be_empty
    end
  end

  it "works in a forked child and in its parent" do
    client = client_for
    client.upload(key, StringIO.new("parent"))
    child = fork do
      exit!(client.download(key) == "parent" && !client.upload("#{key}-child", StringIO.new("child")).nil? ? 0 : 1)
    end
    expect(Process.wait2(child).last.exitstatus).to eq(0)
    expect([client.download(key), client.download("#{key}-child")]).to eq(%w[parent child])
  end

  describe "#rotate" do
    def from_key_to_key(policy)
      to = Kms.create_key
      client_for(commitment_policy: policy).upload(key, StringIO.new("content"))
      place = entries(key)["x-amz-meta-encrypted-s3-place"]
      FaultProxy.run(Kms.server.endpoint) do |proxy|
        rotating = client_for(to, decryption_keys: ["kms:#{arn}"], kms_endpoint: proxy.endpoint,
                                  commitment_policy: policy)
        expect(rotating.rotate(key, verify: true)).to have_attributes(outcome: :rotated, former_key_id: arn)
        expect(rotating.rotate(key).outcome).to eq(:current)
        expect(proxy.requests.map(&:operation)).to eq(%w[ReEncrypt ReEncrypt])
        expect(proxy.requests.first.body).to include(arn, to)
      end
      expect(entries(key)["x-amz-meta-encrypted-s3-place"]).to eq(place)
      expect(client_for(to, place_binding: "require", commitment_policy: policy).download(key)).to eq("content")
    end

    it "rotates from key to key without the data key leaving KMS, V2" do
      from_key_to_key("forbid_encrypt_allow_decrypt")
    end

    it "rotates from key to key without the data key leaving KMS, V3" do
      from_key_to_key("require_encrypt_require_decrypt")
    end

    it "rotates from an AES or RSA key to KMS and back" do
      rsa = OpenSSL::PKey::RSA.new(2048)
      new_client.upload(key, StringIO.new("content"))
      expect(client_for(decryption_keys: { TestStore::KEY_ID => TestStore::KEY }).rotate(key).outcome).to eq(:rotated)
      expect(client_for.download(key)).to eq("content")
      to_rsa = new_client(encryption_key: rsa.to_pem, encryption_key_id: "rsa", decryption_keys: ["kms:#{arn}"],
                          kms_endpoint: Kms.server.endpoint)
      expect(to_rsa.rotate(key).outcome).to eq(:rotated)
      expect(entries(key)).not_to include("x-amz-meta-encrypted-s3-kms-key")
      expect(client_for(decryption_keys: [rsa.to_pem]).rotate(key).outcome).to eq(:rotated)
      expect(client_for.download(key)).to eq("content")
    end

    it "changes the context of an object" do
      client_for.upload(key, StringIO.new("content"))
      context = { "team" => "archive" }
      rotating = client_for(kms_encryption_context: context,
                            decryption_keys: [{ kms_key_id: arn, kms_encryption_context: {} }])
      expect([rotating.rotate(key).outcome, rotating.rotate(key).outcome]).to eq(%i[rotated current])
      expect(client_for(kms_encryption_context: context).download(key)).to eq("content")
    end

    it "leaves the object unchanged when KMS refuses" do
      client_for.upload(key, StringIO.new("content"))
      before = object_itself(key)
      behind_proxy(decryption_keys: ["kms:#{Kms.create_key}"]) do |proxy, client|
        proxy.fault("ReEncrypt", **refusal("AccessDeniedException"))
        expect { client.rotate(key) }.to raise_error(EncryptedS3Service::AccessError, /kms:ReEncrypt/)
      end
      expect(object_itself(key)).to eq(before)
    end
  end
end
