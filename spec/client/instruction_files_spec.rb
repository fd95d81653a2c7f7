# frozen_string_literal: true

require_relative "../support/aws_clients"

RSpec.describe EncryptedS3Service::Client, "instruction files" do
  let(:key) { unique_key }
  let(:client) { new_client(envelope_location: "instruction_file") }
  let(:aws) { AwsClients.v2(TestStore::KEY, envelope_location: :instruction_file) }

  def put_by_aws(name = key, body = "in a file") = aws.put_object(bucket: bucket, key: name, body: body)

  def instruction(name = key) = "#{name}.instruction"

  [0, 17, 5_242_881, 20_971_521].each do |size|
    it "are read where the configuration says so: an object of #{size} bytes" do
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

  it "are never read otherwise; the error says which setting reads them" do
    put_by_aws
    expect { new_client.download(key) }
      .to raise_error(EncryptedS3Service::EnvelopeError, /envelope_location is instruction_file/) { |e|
        expect(e.code).to eq("missing-envelope")
      }
  end

  it "are not asked for where the object has an envelope of its own" do
    new_client.upload(key, StringIO.new("its own"))
    server.put(bucket, instruction, "no JSON at all", {})
    expect(client.download(key)).to eq("its own")
  end

  it "are not written: the object has its envelope, and every client reads it" do
    client.upload(key, StringIO.new("ours"))
    expect(server.list(bucket, prefix: key)).to eq([key])
    expect(aws.get_object(bucket: bucket, key: key).body.read).to eq("ours")
  end

  it "go with the object when it is deleted, and only theirs" do
    put_by_aws
    put_by_aws(other = "#{key}-other")
    client.delete(key)
    expect(server.list(bucket, prefix: key)).to contain_exactly(other, instruction(other))
    expect { client.delete(key) }.not_to raise_error
  end

  it "of another object, a missing one, and one that is no JSON are refused" do
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

  it "that belong to another format, or are spread over object and file, are refused" do
    put_by_aws
    headers, body = stored(key)
    restore(key, { **headers, "x-amz-meta-x-amz-iv" => "AAAAAAAAAAAAAAAA" }, body)
    expect { client.download(key) }.to raise_error(have_attributes(code: "format-confusion"))
    restore(key, { **headers, "x-amz-meta-x-amz-c" => "115" }, body)
    expect { client.download(key) }.to raise_error(have_attributes(code: "format-confusion"))
  end

  it "keep an object of V3 to its key: a file of a V2 object, or of another V3 object, does not pass" do
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

  it "need their location before they can have a suffix" do
    expect { new_client(instruction_file_suffix: ".env") }
      .to raise_error(EncryptedS3Service::ConfigurationError,
                      "instruction_file_suffix needs envelope_location: instruction_file")
    expect { new_client(envelope_location: "object") }
      .to raise_error(EncryptedS3Service::ConfigurationError,
                      "envelope_location must be one of metadata, instruction_file")
  end
end
