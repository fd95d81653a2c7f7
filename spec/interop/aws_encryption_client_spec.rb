# frozen_string_literal: true

require_relative "../support/amazons_client"

# Amazon's own client of the format, with the schemas of the reference gem, against the same bucket.
RSpec.describe "Aws::S3::EncryptionV2::Client" do
  let(:client) { new_client }
  let(:aws) { AwsClients.v2(TestStore::KEY) }

  include_examples "a client of Amazon's that shares its objects with ours"

  it "reads our objects in several parts" do
    data = random_bytes(20 * TestStore::MEBIBYTE)
    etag = client.upload(key, StringIO.new(data))[:etag]
    expect(etag).to match(/-\d+"?\z/)
    expect(read_by_aws).to be_bytes(data)
  end

  it "reads our objects without a key id" do
    new_client(encryption_key_id: "").upload(key, StringIO.new("no id"))
    expect(read_by_aws).to eq("no id")
  end

  it "cannot read our objects with another key, nor we its objects" do
    other = AwsClients.v2("k" * 32)
    client.upload(key, StringIO.new("secret"))
    other.put_object(bucket: bucket, key: theirs = unique_key, body: "secret")
    expect { other.get_object(bucket: bucket, key: key) }.to raise_error(StandardError)
    expect { client.download(theirs) }.to raise_error(EncryptedS3Service::UnwrapError)
  end
end
