# frozen_string_literal: true

require_relative "aws_clients"

# Examples for each of Amazon's clients in Ruby. The including group defines `client`, which is ours, and `aws`, which
# is Amazon's.
RSpec.shared_examples "a client of Amazon's that shares its objects with ours" do
  let(:key) { unique_key }

  sizes = { "0 bytes" => 0, "1 byte" => 1, "15 bytes" => 15, "16 bytes" => 16, "17 bytes" => 17,
            "5 MiB - 1" => 5_242_879, "5 MiB" => 5_242_880, "5 MiB + 1" => 5_242_881, "20 MiB" => 20_971_520 }

  sizes.each do |name, size|
    it "reads our object: #{name}" do
      client.upload(key, StringIO.new(data = random_bytes(size)), checksum: md5(data))
      expect(read_by_aws).to be_bytes(data)
    end

    it "writes an object that we read: #{name}" do
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

  def read_by_aws(name = key) = aws.get_object(bucket: bucket, key: name).body.read
end
