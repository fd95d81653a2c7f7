# frozen_string_literal: true

# Digests other than MD5 come from applications that chose another, as Rails 8.1 and 8.2 allow.
RSpec.describe EncryptedS3Service::Client, "and checksums that are not of MD5" do
  let(:client) { new_client(upload: { multipart_threshold: 5 * TestStore::MEBIBYTE }) }
  let(:key) { unique_key }

  def base64(algorithm, data) = [OpenSSL::Digest.digest(algorithm, data)].pack("m0")

  # Forms in which Active Storage keeps a checksum.
  forms = {
    "sha256:… (Rails 8.2)" => ->(data) { "sha256:#{base64("SHA256", data)}" },
    "SHA-256 without its name (Rails 8.1)" => ->(data) { base64("SHA256", data) },
    "SHA-512 without its name (Rails 8.1)" => ->(data) { base64("SHA512", data) },
    "md5:…" => ->(data) { "md5:#{md5(data)}" }
  }

  forms.each do |what, form|
    [0, 1000, 6 * TestStore::MEBIBYTE].each do |size|
      it "stores #{size} bytes with the right checksum, #{what}" do
        data = random_bytes(size)
        client.upload(key, StringIO.new(data), checksum: instance_exec(data, &form))
        expect(client.download(key)).to be_bytes(data)
      end
    end

    it "keeps the older object when the checksum is wrong, #{what}" do
      client.upload(key, StringIO.new("the old one"))
      [1000, 6 * TestStore::MEBIBYTE].each do |size|
        expect { client.upload(key, StringIO.new(random_bytes(size)), checksum: instance_exec("other", &form)) }
          .to raise_error(EncryptedS3Service::ChecksumError)
      end
      expect(client.download(key)).to eq("the old one")
      expect(traces_of(key)).to eq([key])
    end
  end

  it "stores a file with the right checksum" do
    Tempfile.create do |file|
      file.write("a file")
      file.rewind
      client.upload(key, file, checksum: "sha256:#{base64("SHA256", "a file")}")
      expect([client.download(key), file.eof?]).to eq(["a file", true])
    end
  end

  it "names an unknown digest, and stores nothing" do
    expect { client.upload(key, StringIO.new("x"), checksum: "crc64nvme:AAAAAAAAAAA=") }
      .to raise_error(EncryptedS3Service::UnsupportedOperationError, /crc64nvme.*only md5, sha256, sha512/)
    expect(traces_of(key)).to eq([])
  end
end
