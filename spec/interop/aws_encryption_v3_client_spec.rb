# frozen_string_literal: true

require_relative "../support/amazons_client"

# Amazon's Ruby client of the format with key commitment. Gems of the SDK before October 2025 do not have it.
RSpec.describe "Aws::S3::EncryptionV3::Client" do
  before { skip "aws-sdk-s3 #{Aws::S3::GEM_VERSION} has no such client" unless defined?(Aws::S3::EncryptionV3) }

  let(:client) { new_client(commitment_policy: "require_encrypt_require_decrypt") }
  let(:aws) { AwsClients.v3(TestStore::KEY) }

  include_examples "a client of Amazon's that shares its objects with ours"

  it "reads our objects with an RSA key, and we its objects" do
    rsa = OpenSSL::PKey::RSA.new(2048)
    ours = new_client(commitment_policy: "require_encrypt_require_decrypt", encryption_key: rsa.to_pem)
    theirs = AwsClients.v3(rsa)
    ours.upload(key, StringIO.new("ours"))
    theirs.put_object(bucket: bucket, key: other = unique_key, body: "theirs")
    expect([theirs.get_object(bucket: bucket, key: key).body.read, ours.download(other)]).to eq(%w[ours theirs])
  end

  it "refuses objects without commitment like us, and both read them with the right policy" do
    AwsClients.v2(TestStore::KEY).put_object(bucket: bucket, key: key, body: "V2")
    lenient = AwsClients.v3(TestStore::KEY, security_profile: :v3_and_legacy,
                                            commitment_policy: :require_encrypt_allow_decrypt)
    expect { read_by_aws }.to raise_error(Aws::S3::EncryptionV3::Errors::DecryptionError)
    expect { client.download(key) }.to raise_error(EncryptedS3Service::PolicyError)
    expect([lenient.get_object(bucket: bucket, key: key).body.read,
            new_client(commitment_policy: "require_encrypt_allow_decrypt").download(key)]).to eq(%w[V2 V2])
  end

  it "cannot read our objects with another key, nor we its objects" do
    other = AwsClients.v3("k" * 32)
    client.upload(key, StringIO.new("secret"))
    other.put_object(bucket: bucket, key: theirs = unique_key, body: "secret")
    expect { other.get_object(bucket: bucket, key: key) }.to raise_error(OpenSSL::Cipher::CipherError)
    expect { client.download(theirs) }.to raise_error(EncryptedS3Service::UnwrapError)
  end

  it "refuses an object whose commitment was changed, like us" do
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
