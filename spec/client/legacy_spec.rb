# frozen_string_literal: true

require_relative "../support/aws_clients"
require_relative "../support/ruby_process"

# Objects of Amazon's first Ruby client: AES-CBC, without integrity.
RSpec.describe EncryptedS3Service::Client, "legacy objects" do
  let(:key) { unique_key }
  let(:aws) { AwsClients.v1(TestStore::KEY) }
  let(:rsa) { OpenSSL::PKey::RSA.new(2048) }
  let(:client) { new_client(security_profile: "v2_and_legacy") }

  [0, 1, 15, 16, 17, 5_242_880, 20_971_521].each do |size|
    it "are read whole, in chunks, in ranges and into a file: #{size} bytes" do
      aws.put_object(bucket: bucket, key: key, body: data = random_bytes(size))
      chunks = []
      client.download(key) { |chunk| chunks << chunk }
      expect(chunks.map(&:bytesize)).to eq(data.unpack("a5242880" * (size / 5_242_880)).map(&:bytesize) +
                                           [size % 5_242_880].reject(&:zero?))
      expect(chunks.join).to be_bytes(data)
      expect(client.download_chunk(key, (size / 3)...(size / 2))).to be_bytes(data.byteslice((size / 3)...(size / 2)))
      Tempfile.create(binmode: true) do |file|
        expect(client.download_file(key, file, digest: "md5")).to eq(bytes: size, digest: md5(data))
        expect(File.binread(file.path)).to be_bytes(data)
      end
    end
  end

  it "are read under an RSA key" do
    AwsClients.v1(rsa).put_object(bucket: bucket, key: key, body: "by RSA")
    expect(new_client(security_profile: "v2_and_legacy", encryption_key: rsa).download(key)).to eq("by RSA")
  end

  it "are read by one of several keys, of any kind" do
    aws.put_object(bucket: bucket, key: key, body: "AES")
    AwsClients.v1(rsa).put_object(bucket: bucket, key: other = unique_key, body: "RSA")
    client = new_client(security_profile: "v3_and_legacy", encryption_key: "n" * 32, encryption_key_id: "new",
                        decryption_keys: { "other" => "o" * 32, "aes" => TestStore::KEY, "rsa" => rsa })
    expect([client.download(key), client.download(other)]).to eq(%w[AES RSA])
  end

  it "are read from instruction files if those are enabled" do
    AwsClients.v1(TestStore::KEY, envelope_location: :instruction_file)
              .put_object(bucket: bucket, key: key, body: "in a file")
    client = new_client(security_profile: "v2_and_legacy", envelope_location: "instruction_file")
    expect(client.download(key)).to eq("in a file")
    expect(client.size(key)).to eq(9)
  end

  it "have the size that their writer stored" do
    aws.put_object(bucket: bucket, key: key, body: "x" * 33)
    expect(client.size(key)).to eq(33)
  end

  it "are not read unless security_profile says so, and the error names the right one" do
    aws.put_object(bucket: bucket, key: key, body: "data")
    [{}, { commitment_policy: "require_encrypt_allow_decrypt" }, { security_profile: "v2" }].each do |settings|
      expect { new_client(**settings).download(key) }
        .to raise_error(EncryptedS3Service::PolicyError, /security_profile v2_and_legacy or v3_and_legacy/) { |e|
          expect(e.code).to eq("legacy-disabled")
        }
    end
  end

  it "need no more memory than others: they are kept as ciphertext in a file until they are checked" do
    skip "no /proc" unless File.exist?("/proc/self/status")
    aws.put_object(bucket: bucket, key: key, body: StringIO.new("\0" * 150_000_000))
    settings = TestStore.settings(security_profile: "v2_and_legacy")
    output, = RubyProcess.run(<<~'RUBY', settings, key)
      client, key = EncryptedS3Service::Client.new(**input[0]), input[1]
      most = -> { File.read("/proc/self/status")[/VmHWM:\s*(\d+)/, 1].to_i }
      before = most.call
      File.open(File::NULL, "wb") { |file| client.download_file(key, file) }
      puts most.call - before
    RUBY
    expect(Integer(output)).to be < 80_000
  end

  it "are never written" do
    client.upload(key, StringIO.new("data"))
    expect(stored(key).first).to include("x-amz-meta-x-amz-cek-alg" => "AES/GCM/NoPadding")
  end

  describe "that are damaged" do
    def failure(**settings)
      chunks = []
      new_client(security_profile: "v2_and_legacy", **settings).download(key) { |chunk| chunks << chunk }
      raise "read #{chunks.size} chunks"
    rescue EncryptedS3Service::IntegrityError => e
      expect(chunks).to be_empty
      [e.class, e.code, e.message]
    end

    it "all raise the same error before the first byte: padding, length, wrapped key and wrong key" do
      aws.put_object(bucket: bucket, key: key, body: data = random_bytes(6_000_000))
      headers, body = stored(key)
      failures = [body.byteslice(0...-16), body.byteslice(0...-1), "#{body}x", ""].map do |damaged|
        restore(key, headers, damaged)
        failure
      end
      restore(key, { **headers, "x-amz-meta-x-amz-key" => ["w" * 48].pack("m0") }, body)
      failures << failure
      restore(key, headers, body)
      failures << failure(encryption_key: "w" * 32)
      expect(failures.uniq)
        .to contain_exactly([EncryptedS3Service::TamperedError, "cbc", /cannot decrypt the legacy object \(AES-CBC\)/])
      expect(client.download(key)).to be_bytes(data)
    end
  end
end
