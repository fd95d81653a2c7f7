# frozen_string_literal: true

RSpec.describe EncryptedS3Service::Configuration, "with keys in AWS KMS" do
  arn = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"

  def configuration(**) = described_class.new(false, bucket: "files", **)

  def expect_refusal(message, **)
    expect { EncryptedS3Service::Client.new(configuration(**)) }
      .to raise_error(EncryptedS3Service::ConfigurationError, message)
  end

  [arn, "1234abcd-12ab-34cd-56ef-1234567890ab", "mrk-1234abcd12ab34cd56ef1234567890ab", "alias/files",
   "arn:aws-us-gov:kms:us-gov-west-1:111122223333:alias/files/of-tenants"].each do |id|
    it "accepts #{id} as kms_key_id, and after `kms:` where keys of other kinds are allowed" do
      expect(configuration(kms_key_id: id).encryption_key).to have_attributes(id: id, kind: "kms", reads?: true)
      expect(configuration(encryption_key: "kms:#{id}").encryption_key).to have_attributes(id: id, kind: "kms")
      expect { EncryptedS3Service::Client.new(configuration(kms_key_id: id)) }.not_to raise_error
    end
  end

  ["a b", "arn:aws:s3:::bucket", "arn:aws:kms:evil.example.com/:111122223333:key/1", "alias/", "ünd"].each do |id|
    it "refuses #{id} as the id of a key" do
      expect_refusal(/kms_key_id must be the id, the ARN or an alias/, kms_key_id: id)
    end
  end

  it "refuses contradictory settings" do
    key = EncryptedS3Service::EncryptionKey.generate
    expect_refusal(/kms_key_id cannot be combined with encryption_key/, kms_key_id: arn, encryption_key: key)
    expect_refusal(/encryption_key_id is not for keys in AWS KMS/, kms_key_id: arn, encryption_key_id: "2026")
    expect_refusal(/encryption_key_passphrase is not for keys in AWS KMS/,
                   encryption_key: "kms:#{arn}", encryption_key_passphrase: "x")
    expect_refusal(/kms_encryption_context needs a key in AWS KMS/,
                   encryption_key: key, kms_encryption_context: { team: "a" })
    expect_refusal(/key of the region eu-central-1, but kms_region is us-east-1/,
                   kms_key_id: arn, kms_region: "us-east-1")
    expect_refusal(/kms_endpoint must be a URL/, kms_key_id: arn, kms_endpoint: "kms.example.com")
    expect_refusal(/encryption_key is missing/, kms_allow_decrypt_with_any_cmk: true)
    expect_refusal(/kms_key_id is missing/, kms_key_id: "")
    expect_refusal(/kms_key is not a setting.*kms_key_id/, kms_key: arn)
  end

  it "treats empty texts of the environment as missing settings" do
    key = EncryptedS3Service::EncryptionKey.generate
    expect(configuration(kms_key_id: "", encryption_key: key).encryption_key.kind).to eq("aes")
    settings = configuration(kms_key_id: arn, encryption_key: "", encryption_key_id: "", encryption_key_passphrase: "")
    expect(settings.encryption_key.id).to eq(arn)
  end

  it "refuses contexts that KMS or the format does not accept" do
    expect_refusal(/kms_encryption_context must be a Hash/, kms_key_id: arn, kms_encryption_context: "team")
    expect_refusal(/kms_encryption_context.team must be a String/, kms_key_id: arn, kms_encryption_context: { team: 1 })
    expect_refusal(/`aws:x-amz-cek-alg`, which the format reserves/,
                   kms_key_id: arn, kms_encryption_context: { "aws:x-amz-cek-alg" => "115" })
    expect_refusal(/at most 768 bytes/, kms_key_id: arn, kms_encryption_context: { team: "x" * 800 })
  end

  it "accepts decryption keys with contexts of their own" do
    keys = configuration(encryption_key: EncryptedS3Service::EncryptionKey.generate, kms_encryption_context: { a: "b" },
                         decryption_keys: ["kms:#{arn}", { kms_key_id: "alias/old", kms_encryption_context: {} }])
           .to_native[:keys].drop(1)
    expect(keys).to eq([{ id: arn, kind: "kms", context: { "a" => "b" } },
                        { id: "alias/old", kind: "kms", context: {} }])
    expect_refusal(/decryption_keys.0.key is not a setting/,
                   kms_key_id: arn, decryption_keys: [{ kms_key_id: arn, key: "x" }])
  end

  it "accepts a raw AES key that begins like the id of a KMS key" do
    raw = "kms:\x00\xff".b.ljust(32, "k")
    expect(configuration(encryption_key: raw).encryption_key).to have_attributes(kind: "aes", bytes: raw)
  end

  it "shows the key's id and no other setting" do
    expect(configuration(kms_key_id: arn).inspect).to include(arn)
  end
end
