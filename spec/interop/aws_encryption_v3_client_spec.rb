# frozen_string_literal: true

require_relative "../support/aws_clients"

# Amazon's Ruby client of the format with key commitment. Gems of the SDK before October 2025 do not have it.
RSpec.describe "Aws::S3::EncryptionV3::Client" do
  before { skip "aws-sdk-s3 #{Aws::S3::GEM_VERSION} has no such client" unless defined?(Aws::S3::EncryptionV3) }

  let(:client) { new_client(commitment_policy: "require_encrypt_require_decrypt") }
  let(:key) { unique_key }
  let(:aws) { AwsClients.v3(TestStore::KEY) }

  def read_by_aws(name = key) = aws.get_object(bucket: bucket, key: name).body.read

  sizes = { "0 bytes" => 0, "1 byte" => 1, "15 bytes" => 15, "16 bytes" => 16, "17 bytes" => 17,
            "5 MiB - 1" => 5_242_879, "5 MiB" => 5_242_880, "5 MiB + 1" => 5_242_881, "20 MiB" => 20_971_520 }

  sizes.each do |name, size|
    it "reads what we write: #{name}" do
      client.upload(key, StringIO.new(data = random_bytes(size)), checksum: md5(data))
      expect(read_by_aws).to be_bytes(data)
    end

    it "writes what we read: #{name}" do
      aws.put_object(bucket: bucket, key: key, body: AwsClients.body(data = random_bytes(size)))
      chunks = []
      client.download(key) { |chunk| chunks << chunk }
      expect([chunks.join, client.download(key)]).to all(be_bytes(data))
      expect(client.size(key)).to eq(size)
      expect(client.download_chunk(key, (size / 2)..)).to be_bytes(data.byteslice((size / 2)..)) if size.positive?
    end
  end

  ["ü/ñ/日本語.pdf", "a b+c & d.txt", "🔐"].each do |name|
    it "finds the same object under the key #{name}" do
      client.upload(ours = unique_key(name), StringIO.new("ours"))
      aws.put_object(bucket: bucket, key: theirs = unique_key(name), body: "theirs")
      expect([read_by_aws(ours), client.download(theirs)]).to eq(%w[ours theirs])
    end
  end

  it "reads by an RSA key what we wrote for it, and we what it writes" do
    rsa = OpenSSL::PKey::RSA.new(2048)
    ours = new_client(commitment_policy: "require_encrypt_require_decrypt", encryption_key: rsa.to_pem)
    theirs = AwsClients.v3(rsa)
    ours.upload(key, StringIO.new("ours"))
    theirs.put_object(bucket: bucket, key: other = unique_key, body: "theirs")
    expect([theirs.get_object(bucket: bucket, key: key).body.read, ours.download(other)]).to eq(%w[ours theirs])
  end

  it "refuses with us what is written without commitment, and reads it where both are told to" do
    AwsClients.v2(TestStore::KEY).put_object(bucket: bucket, key: key, body: "V2")
    lenient = AwsClients.v3(TestStore::KEY, security_profile: :v3_and_legacy,
                                            commitment_policy: :require_encrypt_allow_decrypt)
    expect { read_by_aws }.to raise_error(Aws::S3::EncryptionV3::Errors::DecryptionError)
    expect { client.download(key) }.to raise_error(EncryptedS3Service::PolicyError)
    expect([lenient.get_object(bucket: bucket, key: key).body.read,
            new_client(commitment_policy: "require_encrypt_allow_decrypt").download(key)]).to eq(%w[V2 V2])
  end

  it "cannot read with another key what we write, nor we what it writes" do
    other = AwsClients.v3("k" * 32)
    client.upload(key, StringIO.new("secret"))
    other.put_object(bucket: bucket, key: theirs = unique_key, body: "secret")
    expect { other.get_object(bucket: bucket, key: key) }.to raise_error(OpenSSL::Cipher::CipherError)
    expect { client.download(theirs) }.to raise_error(EncryptedS3Service::UnwrapError)
  end

  it "refuses an object whose commitment was changed, as we do" do
    client.upload(key, StringIO.new("data"))
    headers, body = stored(key)
    metadata = headers.select { |name, _| name.start_with?("x-amz-meta-") }
                      .transform_keys { |name| name.delete_prefix("x-amz-meta-") }
    committed = metadata.fetch("x-amz-d").unpack1("m0")
    committed.setbyte(0, committed.getbyte(0) ^ 1)
    metadata["x-amz-d"] = [committed].pack("m0")
    AwsClients.plain.put_object(bucket: bucket, key: key, body: body, metadata: metadata)
    expect { read_by_aws }.to raise_error(Aws::S3::EncryptionV3::Errors::DecryptionError)
    expect { client.download(key) }.to raise_error(EncryptedS3Service::TamperedError)
  end
end
