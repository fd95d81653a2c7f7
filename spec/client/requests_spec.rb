# frozen_string_literal: true

require_relative "../support/fault_proxy"

# Every request costs time and money, and is all that the store learns.
RSpec.describe EncryptedS3Service::Client, "by its requests" do
  let(:mebibyte) { TestStore::MEBIBYTE }
  let(:key) { unique_key }
  let(:proxy) { FaultProxy.new(URI(server.endpoint)) }
  let(:threshold) { 5 * mebibyte }
  let(:client) do
    new_client(endpoint: proxy.endpoint, upload: { multipart_threshold: threshold, part_size: threshold })
  end

  after { proxy.stop }

  def operations = proxy.requests.map(&:operation)

  # Stores an object by a request that is not counted.
  def stored_already(data) = new_client.upload(key, StringIO.new(data))

  it "sends a small file in one request" do
    client.upload(key, StringIO.new(data = random_bytes(100_000)), checksum: md5(data))
    expect(operations).to eq(%w[PutObject])
  end

  it "sends a file below the threshold in one request and a larger one in parts" do
    client.upload(key, StringIO.new(random_bytes(threshold - 1)))
    expect(operations).to eq(%w[PutObject])
    client.upload(key, StringIO.new(random_bytes(threshold)))
    expect(operations.drop(1)).to match_array(%w[CreateMultipartUpload UploadPart UploadPart CompleteMultipartUpload])
  end

  it "sends a large file in parts of the part size, each once, with no other request" do
    client.upload(key, StringIO.new(random_bytes(12 * mebibyte)))
    parts = proxy.requests("UploadPart").to_h { |request| [request.part, request.bytesize] }
    expect(parts).to eq(1 => threshold, 2 => threshold, 3 => (2 * mebibyte) + 16)
    expect(operations.tally).to eq("CreateMultipartUpload" => 1, "UploadPart" => 3, "CompleteMultipartUpload" => 1)
  end

  it "never sends more parts at once than `concurrency`" do
    client = new_client(endpoint: proxy.endpoint,
                        upload: { multipart_threshold: threshold, part_size: threshold, concurrency: 2 })
    gate = proxy.hold("UploadPart")
    uploading = Thread.new { client.upload(key, StringIO.new(random_bytes(21 * mebibyte))) }
    2.times { gate.arrived }
    # A third would arrive long before this ends.
    expect(uploading.join(0.5)).to be_nil
    expect(proxy.requests("UploadPart").size).to eq(2)
    gate.open
    uploading.join
    expect(proxy.requests("UploadPart").size).to eq(5)
  end

  reads = {
    "the whole of a small object" => ->(client, key) { client.download(key) },
    "a small object in chunks" => ->(client, key) { client.download(key) { nil } },
    "4 KiB of a small object" => ->(client, key) { client.download_chunk(key, 1000...5096) },
    "a small object into a file" => ->(client, key) { Tempfile.create { |file| client.download_file(key, file) } }
  }

  reads.each do |what, read|
    it "reads #{what} in one request" do
      stored_already(random_bytes(100_000))
      read.call(client, key)
      expect(operations).to eq(%w[GetObject])
    end
  end

  it "reads an empty object of 16 bytes in one request" do
    stored_already("")
    client.download(key)
    expect(operations).to eq(%w[GetObject])
  end

  it "requests the head of an object for its existence and size" do
    stored_already("x")
    client.exist?(key)
    client.size(key)
    client.exist?("#{key}-not")
    expect(proxy.requests.map { |request| [request.verb, request.bytesize] }).to eq([["HEAD", 0]] * 3)
  end

  it "deletes by one request, and one for the segment map" do
    client.delete(key)
    expect(proxy.requests.map { |request| [request.verb, request.target[/[^?]+/]] })
      .to match_array([["DELETE", "/#{bucket}/#{key}"], ["DELETE", "/#{bucket}/#{key}.segments"]])
  end

  it "requests a missing object once" do
    expect { client.download(key) }.to raise_error(EncryptedS3Service::NotFoundError)
    expect(operations).to eq(%w[GetObject])
  end

  it "does not repeat a refused request" do
    client = new_client(endpoint: proxy.endpoint, secret_access_key: "wrong", retry_limit: 3)
    expect { client.download(key) }.to raise_error(EncryptedS3Service::AccessError)
    expect { client.upload(key, StringIO.new("x")) }.to raise_error(EncryptedS3Service::AccessError)
    expect(operations).to eq(%w[GetObject PutObject])
  end

  # The first and last requested bytes that the object has, in the object's order.
  def ranges(requests, size) = requests.map { |request| [request.range[0], [request.range[1], size - 1].min] }.sort

  it "reads a large object in ranges without gaps or overlaps, all of the first version" do
    stored_already(data = random_bytes((12 * mebibyte) + 5))
    expect(client.download(key)).to be_bytes(data)
    first, *others = proxy.requests
    expect(first.headers).not_to include("if-match")
    expect(others.map { |request| request.headers["if-match"] }.uniq).to eq([server.head(bucket, key)[1]["etag"]])
    # The tag's 16 bytes come after the text.
    asked = ranges(proxy.requests, data.bytesize + 16)
    expect(asked.map(&:first)).to eq([0, *asked.map { |_, last| last + 1 }[..-2]])
    expect(asked.last.last).to eq(data.bytesize + 15)
  end

  # Reading it in chunks takes a second pass, without the tag.
  it "reads no byte twice into a file with little memory, and none three times in chunks" do
    stored_already(random_bytes(12 * mebibyte))
    client = new_client(endpoint: proxy.endpoint, memory_limit: mebibyte)
    reads = [-> { client.download(key) { nil } },
             -> { Tempfile.create { |file| client.download_file(key, file, digest: "md5") } }]
    size = (12 * mebibyte) + 16
    asked = reads.map do |read|
      before = proxy.requests.size
      read.call
      of_object = proxy.requests.drop(before).reject { |request| request.target.include?(".segments") }
      ranges(of_object, size).sum { |first, last| last - first + 1 }
    end
    expect(asked).to eq([(2 * size) - 16, size])
  end

  describe "sends the store" do
    # Texts that a person who knows the file could search for.
    def fingerprints(data)
      %w[MD5 SHA1 SHA256 SHA512].flat_map do |name|
        digest = OpenSSL::Digest.digest(name, data)
        [[digest].pack("m0"), digest.unpack1("H*"), [digest].pack("m0").tr("+/", "-_").delete("=")]
      end + [[Zlib.crc32(data)].pack("N")].flat_map { |crc| [[crc].pack("m0"), crc.unpack1("H*")] }
    end

    # All bytes on the line.
    def sent
      proxy.requests.map do |request|
        [request.verb, request.target, *request.headers.flatten, request.body].map(&:b).join("\n")
      end.join("\n")
    end

    [100_000, 12 << 20].each do |size|
      it "no digest and no part of #{size} bytes of plaintext" do
        data = random_bytes(size)
        client.upload(key, StringIO.new(data), checksum: md5(data))
        client.download(key)
        expect(fingerprints(data).select { |fingerprint| sent.include?(fingerprint) }).to eq([])
        expect((0...size).step(size / 20).select { |from| sent.include?(data.byteslice(from, 32)) }).to eq([])
      end

      it "no digest of a part, no name and no type, when a service stores #{size} bytes",
         if: Gem.loaded_specs.key?("activestorage") do
        require "active_support/all"
        require "active_storage"
        require "active_storage/service/encrypted_s3_service"
        data = random_bytes(size)
        service = ActiveStorage::Service::EncryptedS3Service.new(**client_settings)
        service.upload(key, StringIO.new(data), checksum: md5(data), filename: "payslip.pdf",
                                                content_type: "application/x-payslip", disposition: :attachment,
                                                custom_metadata: { "owner" => "jane-doe" })
        # Four letters would occur by chance in so much ciphertext.
        expect(sent[/payslip|jane-doe|attachment|disposition/i]).to be_nil
        parts = (0...size).step(threshold).map { |from| data.byteslice(from, threshold) }
        expect(parts.flat_map { |part| fingerprints(part) }.select { |text| sent.include?(text) }).to eq([])
      end
    end

    def client_settings
      TestStore.settings(endpoint: proxy.endpoint, upload: { multipart_threshold: threshold, part_size: threshold })
    end

    it "no encryption key, as bytes, base64 or hexadecimal" do
      client.upload(key, StringIO.new("x"))
      secrets = [TestStore::KEY, server.secret_access_key]
      forms = secrets.flat_map { |secret| [secret.b, [secret].pack("m0"), secret.unpack1("H*")] }
      expect(forms.select { |form| sent.include?(form) }).to eq([])
    end
  end
end
