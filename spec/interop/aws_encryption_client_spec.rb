# frozen_string_literal: true

require_relative "../support/aws_clients"

# Amazon's own client of the format, with the schemas of the reference gem, against the same bucket.
RSpec.describe "Aws::S3::EncryptionV2::Client" do
  let(:client) { new_client }
  let(:key) { unique_key }
  let(:aws) { AwsClients.v2(TestStore::KEY) }

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
      expect(chunks.join).to be_bytes(data)
      expect(client.download(key)).to be_bytes(data)
      expect(client.size(key)).to eq(size)
      expect(client.download_chunk(key, (size / 2)..)).to be_bytes(data.byteslice((size / 2)..)) if size.positive?
    end
  end

  it "reads what we wrote in several parts" do
    data = random_bytes(20 * TestStore::MEBIBYTE)
    etag = client.upload(key, StringIO.new(data))[:etag]
    expect(etag).to match(/-\d+"?\z/)
    expect(read_by_aws).to be_bytes(data)
  end

  ["ü/ñ/日本語.pdf", "a b+c & d.txt", "🔐"].each do |name|
    it "finds the same object under the key #{name}" do
      client.upload(ours = unique_key(name), StringIO.new("ours"))
      aws.put_object(bucket: bucket, key: theirs = unique_key(name), body: "theirs")
      expect([read_by_aws(ours), client.download(theirs)]).to eq(%w[ours theirs])
    end
  end

  it "reads what we write without an id of the key" do
    new_client(encryption_key_id: "").upload(key, StringIO.new("no id"))
    expect(read_by_aws).to eq("no id")
  end

  it "cannot read with another key what we write, nor we what it writes" do
    other = AwsClients.v2("k" * 32)
    client.upload(key, StringIO.new("secret"))
    other.put_object(bucket: bucket, key: theirs = unique_key, body: "secret")
    expect { other.get_object(bucket: bucket, key: key) }.to raise_error(StandardError)
    expect { client.download(theirs) }.to raise_error(EncryptedS3Service::UnwrapError)
  end
end
