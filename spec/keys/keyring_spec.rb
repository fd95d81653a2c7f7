# frozen_string_literal: true

require_relative "../support/aws_clients"

RSpec.describe EncryptedS3Service::Client, "a keyring of several keys" do
  let(:key) { unique_key }
  let(:old) { { encryption_key: "o" * 32, encryption_key_id: "2024" } }
  let(:current) { { encryption_key: "n" * 32, encryption_key_id: "2026" } }

  def refusal(**)
    new_client(**)
    nil
  rescue EncryptedS3Service::ConfigurationError => e
    e.message
  end

  def key_id(name = key)
    JSON.parse(stored(name).first.fetch("x-amz-meta-x-amz-matdesc"))["key_id"]
  end

  it "writes under the encryption key and reads under all keys" do
    new_client(**old).upload(before = unique_key, StringIO.new("before"))
    client = new_client(**current, decryption_keys: { "2024" => "o" * 32 })
    client.upload(key, StringIO.new("after"))
    expect([client.download(before), client.download(key)]).to eq(%w[before after])
    expect([key_id(before), key_id]).to eq(%w[2024 2026])
    expect { new_client(**old).download(key) }.to raise_error(EncryptedS3Service::UnwrapError)
  end

  it "needs no ids: a list of keys reads objects under each of them" do
    new_client(encryption_key: "o" * 32, encryption_key_id: nil).upload(key, StringIO.new("old"))
    client = new_client(encryption_key: "n" * 32, encryption_key_id: nil, decryption_keys: ["x" * 32, "o" * 32])
    expect(client.download(key)).to eq("old")
  end

  it "tries every key for an object that names none, as other clients write them" do
    AwsClients.v2("o" * 32).put_object(bucket: bucket, key: key, body: "theirs")
    client = new_client(**current, decryption_keys: { "a" => "a" * 32, "b" => "o" * 32, "c" => "c" * 32 })
    expect(client.download(key)).to eq("theirs")
  end

  it "reads objects of other clients under shorter AES keys" do
    keys = [16, 24].to_h { |size| [size, "s" * size] }
    keys.each { |size, bytes| AwsClients.v2(bytes).put_object(bucket: bucket, key: "#{key}#{size}", body: "short") }
    client = new_client(decryption_keys: keys.transform_values { |bytes| "base64:#{[bytes].pack("m0")}" })
    expect(keys.keys.map { |size| client.download("#{key}#{size}") }).to eq(%w[short short])
  end

  it "combines kinds of keys, with a passphrase if one is needed" do
    rsa = OpenSSL::PKey::RSA.new(2048)
    AwsClients.v2(rsa).put_object(bucket: bucket, key: key, body: "by RSA")
    pem = rsa.private_to_pem(OpenSSL::Cipher.new("aes-256-cbc"), "pass phrase")
    client = new_client(decryption_keys: { "rsa" => { "key" => pem, "passphrase" => "pass phrase" } })
    expect(client.download(key)).to eq("by RSA")
    listed = new_client(decryption_keys: [{ id: "rsa", key: pem, passphrase: "pass phrase" }])
    expect(listed.download(key)).to eq("by RSA")
  end

  it "lets a public key write and its private key read elsewhere" do
    rsa = OpenSSL::PKey::RSA.new(2048)
    new_client(encryption_key: rsa.public_to_pem, encryption_key_id: "front").upload(key, StringIO.new("data"))
    expect(new_client(decryption_keys: { "front" => rsa }).download(key)).to eq("data")
  end

  it "lets a public key write and its private key read here, whatever their ids are" do
    rsa = OpenSSL::PKey::RSA.new(2048)
    [{ decryption_keys: [rsa.to_pem] }, { encryption_key_id: "a", decryption_keys: { "a" => rsa.to_pem } },
     { encryption_key_id: "a", decryption_keys: [rsa.to_pem] }].each do |settings|
      client = new_client(encryption_key: rsa.public_to_pem, encryption_key_id: nil, **settings)
      client.upload(key = unique_key, StringIO.new("data"))
      expect([client.download(key), client.rotate(key).outcome]).to eq(["data", :current])
    end
  end

  describe "has different errors for" do
    before { new_client(**old).upload(key, StringIO.new("data")) }

    def message(**settings)
      new_client(**settings).download(key)
    rescue EncryptedS3Service::UnwrapError => e
      e.message
    end

    it "a key that is missing, by its id" do
      expect(message(**current)).to include("its key id \"2024\" is not in `decryption_keys`")
    end

    it "a wrong key under the right id" do
      expect(message(**current, decryption_keys: { "2024" => "w" * 32 }))
        .to include("the key \"2024\" does not open the object's data key")
    end

    it "a changed object and a missing key" do
      headers, body = stored(key)
      restore(key, headers, body.sub(/\A./mn) { |byte| (byte.ord ^ 1).chr })
      expect { new_client(**old).download(key) }.to raise_error(EncryptedS3Service::TamperedError)
    end
  end

  it "accepts a key that is listed twice, as the writing one often is" do
    client = new_client(**current, decryption_keys: { "2026" => "n" * 32, "2024" => "o" * 32 })
    new_client(**old).upload(key, StringIO.new("data"))
    expect(client.download(key)).to eq("data")
  end

  describe "refuses" do
    {
      { decryption_keys: "k" * 32 } => "decryption_keys must be a Hash of ids and keys, or a list of keys, not String",
      { decryption_keys: { "2024" => "s3cret" } } =>
        /\Adecryption_keys\.2024 must be exactly 16, 24 or 32 bytes, not 6/,
      { decryption_keys: ["s3cret of 16 byte"[0, 16]] } =>
        "decryption_keys.0 of 16 bytes must be `base64:` and its Base64",
      { decryption_keys: ["s3cret"] } => /\Adecryption_keys\.0 must be exactly/,
      { decryption_keys: { "2024" => { key: "k" * 32, pass: 1 } } } =>
        /\Adecryption_keys\.2024\.pass is not a setting of EncryptedS3/,
      { decryption_keys: { "2024" => nil } } => "decryption_keys.2024 is missing",
      { decryption_keys: { "2024" => {} } } => "decryption_keys.2024 is missing",
      { decryption_keys: { "ä" => "k" * 32 } } => /\Athe id of decryption_keys\.ä must be printable ASCII/,
      { decryption_keys: { TestStore::KEY_ID => "k" * 32 } } =>
        "decryption_keys: two different keys have the id \"spec-key\"",
      { decryption_keys: { "2024" => { key: "k" * 32, passphrase: "s3cret" } } } =>
        "decryption_keys.2024.passphrase is for an encrypted RSA key in PEM only"
    }.each do |settings, expected|
      it "#{settings} by name" do
        message = refusal(**settings)
        expect(message).to match(expected)
        expect(message).not_to include("s3cret")
      end
    end

    {
      "a key in the place of its id" => { decryption_keys: { "base64:#{["s" * 32].pack("m0")}" => "2024" } },
      "a key of 32 characters in the place of its id" => { decryption_keys: { "s" * 32 => "2024" } },
      "a key in the place of the id of another" =>
        { decryption_keys: { "base64:#{["s" * 32].pack("m0")}" => "k" * 32 } },
      "a key that is its own id" => { encryption_key: "s" * 32, encryption_key_id: "s" * 32 },
      "a key that is its own id in a list" => { decryption_keys: [{ id: "s" * 32, key: "s" * 32 }] },
      "a key in the place of a setting" => { "s" * 32 => "2024" },
      "a key in the place of a setting of a key" => { decryption_keys: { "2024" => { "s" * 32 => 1, key: "k" * 32 } } }
    }.each do |what, settings|
      it "#{what}, without showing it" do
        message = refusal(**settings.transform_keys(&:to_sym))
        expect(message).to match(/may be a key|must be a name and not a key/)
        expect(message).not_to include("s" * 32, ["s" * 32].pack("m0"))
      end
    end

    it "a public key for reading" do
      expect(refusal(decryption_keys: { "front" => OpenSSL::PKey::RSA.new(2048).public_to_pem }))
        .to eq("decryption_keys.front is a public key, which cannot read: give the private key")
    end
  end

  it "accepts a missing key while an image's assets are precompiled, and raises on first use" do
    ENV["SECRET_KEY_BASE_DUMMY"] = "1"
    client = new_client(decryption_keys: { "2024" => "" })
    expect { client.exist?("x") }
      .to raise_error(EncryptedS3Service::ConfigurationError, "decryption_keys.2024 is missing")
  ensure
    ENV.delete("SECRET_KEY_BASE_DUMMY")
  end
end
