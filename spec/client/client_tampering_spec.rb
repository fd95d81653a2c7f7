# frozen_string_literal: true

# A person who can write to the bucket must not be able to make a client read other bytes than were stored, or fewer.
RSpec.describe EncryptedS3Service::Client, "reading what was changed in the bucket" do
  let(:client) { new_client }
  let(:key) { unique_key }
  let(:data) { random_bytes(size) }
  let(:size) { 40_000 }

  before { client.upload(key, StringIO.new(data)) }

  # Every way of reading raises the error, and returns not one byte before it.
  def expect_refusal(error, reader = client, code: nil)
    yielded = []
    [-> { reader.download(key) }, -> { reader.download(key) { |chunk| yielded << chunk } },
     -> { reader.download_chunk(key, 0...10) }].each do |call|
      expect(&call).to raise_error(error) { |e| expect(code.nil? || [*code].include?(e.code)).to be(true), e.code }
    end
    expect(yielded).to eq([])
  end

  def change
    headers, body = stored(key)
    headers, body = yield(headers, body)
    restore(key, headers, body)
  end

  def flip(bytes, position) = bytes.dup.tap { |copy| copy.setbyte(position, copy.getbyte(position) ^ 1) }

  { "the first byte" => 0, "a byte in the middle" => 20_000, "the last byte of the text" => -17, "the tag" => -1 }
    .each do |name, position|
      it "refuses an object with #{name} changed" do
        change { |headers, body| [headers, flip(body, position)] }
        expect_refusal(EncryptedS3Service::TamperedError, code: "auth")
      end
    end

  it "refuses an object that was truncated" do
    [1, 16, 17, 20_000].each do |bytes|
      change { |headers, body| [headers, body.byteslice(0, body.bytesize - bytes)] }
      expect_refusal(EncryptedS3Service::IntegrityError, code: %w[auth truncated malformed])
      client.upload(key, StringIO.new(data))
    end
  end

  it "refuses an object shorter than a tag as truncated" do
    [0, 1, 15].each do |bytes|
      change { |headers, body| [headers, body.byteslice(0, bytes)] }
      expect_refusal(EncryptedS3Service::IntegrityError, code: %w[truncated])
    end
  end

  it "refuses an object with bytes added" do
    change { |headers, body| [headers, "#{body}x"] }
    expect_refusal(EncryptedS3Service::IntegrityError, code: %w[auth malformed])
  end

  it "refuses the body of another object" do
    client.upload(other = unique_key, StringIO.new(random_bytes(size, 2)))
    change { |headers, _body| [headers, stored(other).last] }
    expect_refusal(EncryptedS3Service::TamperedError)
  end

  it "refuses the envelope of another object" do
    client.upload(other = unique_key, StringIO.new(data))
    change { |_headers, body| [stored(other).first, body] }
    expect_refusal(EncryptedS3Service::TamperedError)
  end

  it "refuses a changed data key" do
    name = "x-amz-meta-x-amz-key-v2"
    change { |headers, body| [headers.merge(name => [flip(headers[name].unpack1("m0"), 30)].pack("m0")), body] }
    expect_refusal(EncryptedS3Service::UnwrapError, code: "unwrap")
  end

  it "refuses a changed nonce" do
    name = "x-amz-meta-x-amz-iv"
    change { |headers, body| [headers.merge(name => [flip(headers[name].unpack1("m0"), 3)].pack("m0")), body] }
    expect_refusal(EncryptedS3Service::TamperedError, code: "auth")
  end

  it "refuses an envelope that lacks an entry" do
    %w[iv cek-alg wrap-alg tag-len key-v2].each do |entry|
      change { |headers, body| [headers.except("x-amz-meta-x-amz-#{entry}"), body] }
      expect { client.download(key) }.to raise_error(EncryptedS3Service::Error)
      client.upload(key, StringIO.new(data))
    end
  end

  it "refuses an envelope that names unauthenticated encryption" do
    change { |headers, body| [headers.merge("x-amz-meta-x-amz-cek-alg" => "AES/CBC/PKCS5Padding"), body] }
    expect_refusal(EncryptedS3Service::Error)
  end

  it "never returns an object without an envelope as plaintext" do
    server.put(bucket, key, "put there by somebody else")
    expect_refusal(EncryptedS3Service::EnvelopeError, code: "missing-envelope")
  end

  it "advises to copy the metadata, too, where a copy lacks them" do
    server.put(bucket, key, stored(key).last)
    expect { client.download(key) }
      .to raise_error(EncryptedS3Service::EnvelopeError, /#{key}.*copy it again with its metadata/)
  end

  it "refuses an object of another key" do
    other = new_client(encryption_key: OpenSSL::Digest.digest("SHA256", "another"))
    expect_refusal(EncryptedS3Service::UnwrapError, other, code: "unwrap")
  end

  context "with an object of several chunks" do
    let(:size) { 12 * TestStore::MEBIBYTE }

    it "does not return the chunks before the changed one either" do
      change { |headers, body| [headers, flip(body, 11 * TestStore::MEBIBYTE)] }
      expect_refusal(EncryptedS3Service::TamperedError)
    end
  end
end
