# frozen_string_literal: true

require_relative "../support/kms"

RSpec.describe EncryptedS3Service::Client, "instruction files" do
  let(:key) { unique_key }
  let(:client) { new_client(envelope_location: "instruction_file") }
  let(:aws) { AwsClients.v2(TestStore::KEY, envelope_location: :instruction_file) }

  def put_by_aws(name = key, body = "in a file") = aws.put_object(bucket: bucket, key: name, body: body)

  def instruction(name = key) = "#{name}.instruction"

  [0, 17, 5_242_881, 20_971_521].each do |size|
    it "are read if the configuration says so: an object of #{size} bytes" do
      put_by_aws(key, data = random_bytes(size))
      expect(client.download(key)).to be_bytes(data)
      expect(client.size(key)).to eq(size)
    end
  end

  it "are read under another suffix" do
    AwsClients.v2(TestStore::KEY, envelope_location: :instruction_file, instruction_file_suffix: "-envelope")
              .put_object(bucket: bucket, key: key, body: "elsewhere")
    expect(new_client(envelope_location: "instruction_file", instruction_file_suffix: "-envelope").download(key))
      .to eq("elsewhere")
    expect { client.download(key) }.to raise_error(have_attributes(code: "missing-envelope"))
  end

  it "are not read otherwise, and the error names the setting" do
    put_by_aws
    expect { new_client.download(key) }
      .to raise_error(EncryptedS3Service::EnvelopeError, /envelope_location: instruction_file/) { |e|
        expect(e.code).to eq("missing-envelope")
      }
  end

  it "are not requested if the object has an envelope of its own" do
    new_client.upload(key, StringIO.new("its own"))
    server.put(bucket, instruction, "no JSON at all", {})
    expect(client.download(key)).to eq("its own")
  end

  it "are not written: the object has its envelope, and every client reads it" do
    client.upload(key, StringIO.new("ours"))
    expect(server.list(bucket, prefix: key)).to eq([key])
    expect(aws.get_object(bucket: bucket, key: key).body.read).to eq("ours")
  end

  it "are deleted with their objects, and no others are" do
    put_by_aws
    put_by_aws(other = "#{key}-other")
    client.delete(key)
    expect(server.list(bucket, prefix: key)).to contain_exactly(other, instruction(other))
    expect { client.delete(key) }.not_to raise_error
  end

  it "are deleted with objects that are deleted by their prefix" do
    ["#{key}/a", "#{key}/b", other = "#{key}-other"].each { |name| put_by_aws(name) }
    client.delete_prefixed("#{key}/")
    expect(server.list(bucket, prefix: key)).to contain_exactly(other, instruction(other))
  end

  it "are refused if they belong to another object, are missing, or are not JSON" do
    put_by_aws
    put_by_aws(other = unique_key)
    _, foreign = stored(instruction(other))
    { foreign => "auth", "[]" => "malformed", "" => "malformed", "{}" => "missing-envelope",
      "x" * 70_000 => "malformed" }.each do |file, code|
      server.put(bucket, instruction, file, {})
      expect { client.download(key) }.to raise_error(have_attributes(code: code))
    end
    server.delete(bucket, instruction)
    expect { client.download(key) }.to raise_error(have_attributes(code: "missing-envelope"))
  end

  it "are refused if they belong to another format, or the envelope is spread over object and file" do
    put_by_aws
    headers, body = stored(key)
    restore(key, { **headers, "x-amz-meta-x-amz-iv" => "AAAAAAAAAAAAAAAA" }, body)
    expect { client.download(key) }.to raise_error(have_attributes(code: "format-confusion"))
    restore(key, { **headers, "x-amz-meta-x-amz-c" => "115" }, body)
    expect { client.download(key) }.to raise_error(have_attributes(code: "format-confusion"))
  end

  it "of a V2 object, or of another V3 object, are refused for an object of V3" do
    strict = new_client(commitment_policy: "require_encrypt_allow_decrypt", envelope_location: "instruction_file")
    files = [key, other = unique_key].map do |name|
      strict.upload(name, StringIO.new("v3"))
      headers, body = stored(name)
      wrap, content = headers.select { |header, _| header.start_with?("x-amz-meta-") }
                             .partition { |header, _| header.match?(/-[3wm]\z/) }.map(&:to_h)
      restore(name, content, body)
      JSON.generate(wrap.transform_keys { |header| header.delete_prefix("x-amz-meta-") })
    end
    server.put(bucket, instruction, files.first, {})
    expect(strict.download(key)).to eq("v3")
    server.put(bucket, instruction, files.last, {})
    expect { strict.download(key) }.to raise_error(have_attributes(code: "commitment"))
    put_by_aws(other)
    server.put(bucket, instruction, stored(instruction(other)).last, {})
    expect { strict.download(key) }.to raise_error(have_attributes(code: "format-confusion"))
  end

  it "need envelope_location before they can have a suffix" do
    expect { new_client(instruction_file_suffix: ".env") }
      .to raise_error(EncryptedS3Service::ConfigurationError,
                      "instruction_file_suffix needs envelope_location: instruction_file")
    expect { new_client(envelope_location: "object") }
      .to raise_error(EncryptedS3Service::ConfigurationError,
                      "envelope_location must be one of metadata, instruction_file")
  end

  # Swift has no conditional PUT (If-Match) and answers 501, so nothing is changed there.
  describe "when the wrapping key changes", unless: ENV["S3_SERVER"] == "swift" do
    let(:later) { "l" * 32 }
    let(:rotating) do
      new_client(envelope_location: "instruction_file", encryption_key: later, encryption_key_id: "2026",
                 decryption_keys: { "before" => TestStore::KEY })
    end

    it "are replaced, the object does not change, and Amazon's client reads it" do
      aws.put_object(bucket: bucket, key: key, body: AwsClients.body(data = random_bytes(3_000_000)))
      before = object_itself(key).first
      FaultProxy.run(server.endpoint) do |proxy|
        client = new_client(endpoint: proxy.endpoint, envelope_location: "instruction_file", encryption_key: later,
                            encryption_key_id: "2026", decryption_keys: [TestStore::KEY])
        expect(client.rotate(key, verify: true)).to have_attributes(outcome: :rotated, format: "v2")
        puts = proxy.requests("PutObject")
        expect(puts.map { |request| [request.target[/\A[^?]+/], request.bytesize < 1000] })
          .to eq([["/#{bucket}/#{instruction}", true]])
      end
      expect(object_itself(key).first).to eq(before)
      expect(AwsClients.v2(later, envelope_location: :instruction_file).get_object(bucket: bucket, key: key).body.read)
        .to be_bytes(data)
      expect(rotating.rotate(key).outcome).to eq(:current)
      expect { client.download(key) }.to raise_error(EncryptedS3Service::UnwrapError)
    end

    it "keep entries of other programs, under another suffix too" do
      AwsClients.v2(TestStore::KEY, envelope_location: :instruction_file, instruction_file_suffix: "-envelope")
                .put_object(bucket: bucket, key: key, body: "elsewhere")
      file = JSON.parse(stored("#{key}-envelope").last).merge("owner" => "somebody")
      server.put(bucket, "#{key}-envelope", JSON.generate(file), { "x-amz-meta-x-amz-crypto-instr-file" => "" })
      client = new_client(envelope_location: "instruction_file", instruction_file_suffix: "-envelope",
                          encryption_key: later, decryption_keys: [TestStore::KEY])
      expect(client.rotate(key).outcome).to eq(:rotated)
      expect(JSON.parse(stored("#{key}-envelope").last)).to include("owner" => "somebody",
                                                                    "x-amz-iv" => file["x-amz-iv"])
      expect(client.download(key)).to eq("elsewhere")
    end

    it "can change to a key in AWS KMS and back" do
      put_by_aws
      arn = Kms.create_key
      location = { envelope_location: "instruction_file" }
      kms = described_class.new(**Kms.settings(arn, decryption_keys: [TestStore::KEY], **location))
      expect([kms.rotate(key).outcome, kms.rotate(key).outcome]).to eq(%i[rotated current])
      expect(described_class.new(**Kms.settings(arn, **location)).download(key)).to eq("in a file")
      back = new_client(decryption_keys: ["kms:#{arn}"], kms_endpoint: Kms.server.endpoint, **location)
      expect(back.rotate(key).outcome).to eq(:rotated)
      expect(aws.get_object(bucket: bucket, key: key).body.read).to eq("in a file")
    end

    it "are unchanged if the object must be encrypted again, or they are missing" do
      put_by_aws
      before = stored(instruction).last
      expect(rotating.rotate(key, instruction_files: false).outcome).to eq(:reencrypt)
      expect(stored(instruction).last).to eq(before)
      server.delete(bucket, instruction)
      expect { rotating.rotate(key) }.to raise_error(EncryptedS3Service::EnvelopeError, /no instruction file/)
    end

    it "are not replaced if they were changed meanwhile" do
      put_by_aws
      FaultProxy.run(server.endpoint) do |proxy|
        client = new_client(endpoint: proxy.endpoint, envelope_location: "instruction_file", encryption_key: later,
                            decryption_keys: [TestStore::KEY])
        proxy.fault("PutObject", times: 1) { put_by_aws(key, "newer") }
        client.rotate(key)
        expect(client.download(key)).to eq("newer")
      end
    end
  end
end
