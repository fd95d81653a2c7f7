# frozen_string_literal: true

require "pathname"
require "yaml"
require_relative "../support/aws_clients"
require_relative "../support/encryption_client"

RSpec.describe EncryptedS3Service::Client, "RSA keys" do
  before(:context) do
    @rsa = OpenSSL::PKey::RSA.new(2048)
    @other = OpenSSL::PKey::RSA.new(2048)
  end

  let(:rsa) { @rsa }
  let(:other) { @other }
  let(:key) { unique_key }
  let(:front) { rsa_client(rsa.public_to_pem) }
  let(:back) { rsa_client(rsa.private_to_pem) }

  def rsa_client(pem, **settings) = new_client(encryption_key: pem, encryption_key_id: nil, **settings)

  def refusal(pem, **settings)
    rsa_client(pem, **settings)
    nil
  rescue EncryptedS3Service::ConfigurationError => e
    e.message
  end

  %w[forbid_encrypt_allow_decrypt require_encrypt_allow_decrypt].each do |policy|
    it "lets the private key read objects of the public key, under #{policy}" do
      data = random_bytes(6_000_000)
      rsa_client(rsa.public_to_pem, commitment_policy: policy).upload(key, StringIO.new(data))
      expect(stored_plaintext(key, rsa)).to be_bytes(data)
      expect(back.download(key)).to be_bytes(data)
    end
  end

  it "raises when it reads with the public key, and says what to configure" do
    front.upload(key, StringIO.new("data"))
    expect { front.download(key) }
      .to raise_error(EncryptedS3Service::KeyringError, /public RSA keys only.*private key as `encryption_key`/) { |e|
        expect(e.code).to eq("key-mismatch")
      }
  end

  it "gives both halves of a pair the same id, which reveals nothing of the private one" do
    front.upload(key, StringIO.new("data"))
    id = JSON.parse(stored(key).first.fetch("x-amz-meta-x-amz-matdesc"))["key_id"]
    expect(id).to eq(OpenSSL::Digest.hexdigest("SHA256", rsa.public_to_der)[0, 16])
    expect(back.configuration.encryption_key.id).to eq(id)
  end

  [2048, 3072, 4096].each do |bits|
    it "is compatible with Amazon's Ruby client with #{bits} bits, in both directions" do
      pair = OpenSSL::PKey::RSA.new(bits)
      client = rsa_client(pair)
      client.upload(key, StringIO.new(data = random_bytes(100_000)))
      expect(AwsClients.v2(pair).get_object(bucket: bucket, key: key).body.read).to be_bytes(data)
      AwsClients.v2(pair).put_object(bucket: bucket, key: theirs = unique_key, body: data)
      expect(client.download(theirs)).to be_bytes(data)
    end
  end

  it "is compatible with Amazon's Python client in V3, in both directions" do
    python = EncryptionClient.new(private_key_pem: rsa.private_to_pem)
    rsa_client(rsa.public_to_pem, commitment_policy: "require_encrypt_allow_decrypt").upload(key, StringIO.new("ours"))
    python.put(theirs = unique_key, "theirs")
    expect([python.get(key), back.download(theirs)]).to eq(%w[ours theirs])
  end

  it "has different errors for a wrong key and a key of another kind" do
    back.upload(key, StringIO.new("by RSA"))
    new_client.upload(aes = unique_key, StringIO.new("by AES"))
    expect { rsa_client(other).download(key) }.to raise_error(EncryptedS3Service::UnwrapError)
    expect { new_client.download(key) }.to raise_error(EncryptedS3Service::KeyringError, /wrapped by an RSA key/)
    expect { back.download(aes) }.to raise_error(EncryptedS3Service::KeyringError, /wrapped by an AES key/)
  end

  describe "in a configuration" do
    it "may be PEM text of either kind, a key of Ruby's OpenSSL, or a file with one" do
      front.upload(key, StringIO.new("data"))
      Tempfile.create("key.pem") do |file|
        file.write(rsa.private_to_pem)
        file.flush
        forms = [rsa.to_pem, rsa.private_to_pem, rsa.to_pem.gsub("\n", '\n'), rsa, "file:#{file.path}",
                 Pathname(file.path)]
        expect(forms.map { |form| rsa_client(form).download(key) }.uniq).to eq(["data"])
      end
    end

    it "may be a public key in its traditional form" do
      numbers = OpenSSL::ASN1::Sequence([rsa.n, rsa.e].map { |number| OpenSSL::ASN1::Integer(number) })
      pem = "-----BEGIN RSA PUBLIC KEY-----\n#{[numbers.to_der].pack("m")}-----END RSA PUBLIC KEY-----\n"
      rsa_client(pem).upload(key, StringIO.new("data"))
      expect(back.download(key)).to eq("data")
    end

    it "may be in YAML as a block" do
      entry = YAML.safe_load("encryption_key: |\n#{rsa.private_to_pem.gsub(/^/, "  ")}", symbolize_names: true)
      front.upload(key, StringIO.new("data"))
      expect(rsa_client(entry[:encryption_key]).download(key)).to eq("data")
    end

    it "may be encrypted, in the new form and in the traditional one, with a passphrase" do
      front.upload(key, StringIO.new("data"))
      cipher = OpenSSL::Cipher.new("aes-256-cbc")
      [rsa.private_to_pem(cipher, "pass phrase"), rsa.to_pem(cipher, "pass phrase")].each do |pem|
        expect(rsa_client(pem, encryption_key_passphrase: "pass phrase").download(key)).to eq("data")
        expect(refusal(pem)).to eq("encryption_key is encrypted, but encryption_key_passphrase is missing")
        expect(refusal(pem, encryption_key_passphrase: "")).to end_with("encryption_key_passphrase is missing")
        expect(refusal(pem, encryption_key_passphrase: "s3cret"))
          .to eq("encryption_key cannot be decrypted: is encryption_key_passphrase right?")
      end
    end

    it "refuses a passphrase for an unencrypted key" do
      expect(refusal(rsa.private_to_pem, encryption_key_passphrase: "s3cret"))
        .to eq("encryption_key_passphrase is given, but encryption_key is not encrypted")
      expect(refusal("k" * 32, encryption_key_passphrase: "s3cret"))
        .to eq("encryption_key_passphrase is for an encrypted RSA key in PEM only")
    end

    it "refuses a key that is too small or too large" do
      expect(refusal(OpenSSL::PKey::RSA.new(1024).to_pem))
        .to eq("encryption_key must have 2048 to 4096 bits, not 1024")
      large = OpenSSL::ASN1::Sequence([OpenSSL::ASN1::Integer((1 << 8191) + 1), OpenSSL::ASN1::Integer(65_537)])
      expect(refusal(OpenSSL::PKey::RSA.new(large.to_der).public_to_pem))
        .to eq("encryption_key must have 2048 to 4096 bits, not 8192")
    end

    it "refuses keys of other kinds, certificates and unreadable files" do
      certificate = OpenSSL::X509::Certificate.new
      certificate.public_key = rsa
      certificate.sign(rsa, "SHA256")
      expect(refusal(OpenSSL::PKey::EC.generate("prime256v1").to_pem))
        .to eq("encryption_key must be an RSA key, not EC")
      expect(refusal(certificate.to_pem)).to start_with("encryption_key is a certificate; give the public key in it")
      expect(refusal("-----BEGIN OPENSSH PRIVATE KEY-----\ns3cret\n-----END OPENSSH PRIVATE KEY-----"))
        .to start_with("encryption_key is in OpenSSH's own format; convert it: ssh-keygen")
      expect(refusal(rsa.to_pem + rsa.public_to_pem)).to eq("encryption_key must hold one key, not 2 PEM blocks")
      expect(refusal(rsa.to_pem.lines.tap { |lines| lines.delete_at(5) }.join))
        .to eq("encryption_key is not a readable key in PEM")
    end

    it "names a missing file, and suggests `file:` for a plain path" do
      expect(refusal("file:/nowhere/key.pem"))
        .to eq("encryption_key: the file /nowhere/key.pem cannot be read: ENOENT")
      expect(refusal("config/key.pem")).to include("looks like a path: put `file:` before it")
    end

    it "accepts a missing file while an image's assets are precompiled" do
      ENV["SECRET_KEY_BASE_DUMMY"] = "1"
      client = rsa_client("file:/nowhere/key.pem")
      expect { client.exist?("x") }
        .to raise_error(EncryptedS3Service::ConfigurationError, "encryption_key: the file is missing")
    ensure
      ENV.delete("SECRET_KEY_BASE_DUMMY")
    end

    it "never shows the key or its passphrase" do
      cipher = OpenSSL::Cipher.new("aes-256-cbc")
      client = rsa_client(rsa.private_to_pem(cipher, "s3cret"), encryption_key_passphrase: "s3cret")
      texts = [client, client.configuration, client.configuration.encryption_key].map(&:inspect)
      texts << refusal(rsa.private_to_pem(cipher, "s3cret"), encryption_key_passphrase: "s3cret?")
      expect(texts.join).not_to match(/s3cret|BEGIN|MII/)
    end
  end
end
