# frozen_string_literal: true

require_relative "../support/encryption_client"
require_relative "../support/kms"

# Amazon's own clients with a key in AWS KMS, against the same bucket and the same KMS.
RSpec.describe "Objects under a key in AWS KMS" do
  let(:arn) { Kms.create_key }
  let(:key) { unique_key }
  let(:data) { random_bytes(70_000) }
  let(:v3) { { commitment_policy: "require_encrypt_require_decrypt" } }

  def ours(key_id = arn, **) = EncryptedS3Service::Client.new(**Kms.settings(key_id, **))

  def python(key_id = arn, policy: "require_encrypt_require_decrypt", **)
    EncryptionClient.new(kms_key_id: key_id, kms_endpoint: Kms.server.endpoint, commitment_policy: policy, **)
  end

  def read_by(aws, name = key, **) = aws.get_object(bucket: bucket, key: name, **).body.read

  def skip_without_v3
    skip "aws-sdk-s3 #{Aws::S3::GEM_VERSION} has no such client" unless defined?(Aws::S3::EncryptionV3)
  end

  # Whole, in ranges, step by step and into a file.
  def expect_to_read(client, name = key)
    chunks = []
    client.download(name) { |chunk| chunks << chunk }
    expect(chunks.join).to be_bytes(data)
    expect(client.download_chunk(name, 16..31)).to be_bytes(data[16, 16])
    expect(client.download_chunk(name, 69_990..)).to be_bytes(data[69_990..])
    Tempfile.create do |file|
      client.download_file(name, file.binmode)
      expect(File.binread(file.path)).to be_bytes(data)
    end
  end

  describe "Aws::S3::EncryptionV2::Client" do
    it "reads our objects, also in several parts" do
      ours.upload(key, StringIO.new(data))
      ours.upload(large = unique_key, StringIO.new(parts = random_bytes(20 * TestStore::MEBIBYTE)))
      expect(read_by(Kms.aws_v2(arn))).to be_bytes(data)
      expect(read_by(Kms.aws_v2(arn), large)).to be_bytes(parts)
    end

    it "writes objects that we read" do
      Kms.aws_v2(arn).put_object(bucket: bucket, key: key, body: AwsClients.body(data))
      expect_to_read(ours)
    end

    it "uses the same encryption context as we; both refuse another" do
      context = { "team" => "archive", "tenant" => "42" }
      ours(kms_encryption_context: context).upload(key, StringIO.new("ours"))
      aws = Kms.aws_v2(arn)
      aws.put_object(bucket: bucket, key: theirs = unique_key, body: "theirs", kms_encryption_context: context)
      expect(read_by(aws, kms_encryption_context: context)).to eq("ours")
      expect(ours(kms_encryption_context: context).download(theirs)).to eq("theirs")
      expect { read_by(aws, kms_encryption_context: { "team" => "x" }) }
        .to raise_error(Aws::S3::EncryptionV2::Errors::DecryptionError)
      [{}, { "team" => "x" }, { "team" => "archive" }].each do |other|
        expect { ours(kms_encryption_context: other).download(theirs) }
          .to raise_error(EncryptedS3Service::KeyringError, /`kms_encryption_context`/)
      end
    end

    it "reads objects that we rotated, and we rotate its objects" do
      to = Kms.create_key
      Kms.aws_v2(arn).put_object(bucket: bucket, key: key, body: AwsClients.body(data))
      expect(ours(to, decryption_keys: ["kms:#{arn}"]).rotate(key).outcome).to eq(:rotated)
      expect(read_by(Kms.aws_v2(to))).to be_bytes(data)
      expect_to_read(ours(to))
      aes = new_client(decryption_keys: ["kms:#{to}"], kms_endpoint: Kms.server.endpoint)
      expect(aes.rotate(key).outcome).to eq(:rotated)
      expect(read_by(AwsClients.v2(TestStore::KEY))).to be_bytes(data)
      expect(ours(decryption_keys: { TestStore::KEY_ID => TestStore::KEY }).rotate(key).outcome).to eq(:rotated)
      expect(read_by(Kms.aws_v2(arn))).to be_bytes(data)
    end

    it "reads with any key only if that is allowed, like us" do
      Kms.aws_v2(arn).put_object(bucket: bucket, key: key, body: "theirs")
      other = Kms.create_key
      expect { read_by(Kms.aws_v2(other)) }.to raise_error(Aws::KMS::Errors::ServiceError) if Kms.names_keys?
      expect { ours(other).download(key) }.to raise_error(EncryptedS3Service::Error)
      expect(read_by(Kms.aws_v2(other), kms_allow_decrypt_with_any_cmk: true)).to eq("theirs")
      expect(ours(other, kms_allow_decrypt_with_any_cmk: true).download(key)).to eq("theirs")
    end
  end

  describe "Aws::S3::Encryption::Client, whose objects are not authenticated" do
    it "writes objects that we read only with a legacy profile" do
      AwsClients.v1_kms(arn, Kms.client).put_object(bucket: bucket, key: key, body: "long ago")
      expect { ours.download(key) }.to raise_error(EncryptedS3Service::PolicyError)
      expect(ours(security_profile: "v2_and_legacy").download(key)).to eq("long ago")
      other = ours(Kms.create_key, security_profile: "v2_and_legacy")
      expect { other.download(key) }.to raise_error(EncryptedS3Service::Error)
    end
  end

  describe "Aws::S3::EncryptionV3::Client" do
    before { skip_without_v3 }

    it "reads our objects, and we its objects" do
      ours(**v3).upload(key, StringIO.new(data))
      expect(read_by(Kms.aws_v3(arn))).to be_bytes(data)
      Kms.aws_v3(arn).put_object(bucket: bucket, key: theirs = unique_key, body: AwsClients.body(data))
      expect_to_read(ours(**v3), theirs)
    end

    it "uses the same encryption context as we" do
      context = { "team" => "archive" }
      ours(kms_encryption_context: context, **v3).upload(key, StringIO.new("ours"))
      Kms.aws_v3(arn).put_object(bucket: bucket, key: theirs = unique_key, body: "theirs",
                                 kms_encryption_context: context)
      expect(read_by(Kms.aws_v3(arn), kms_encryption_context: context)).to eq("ours")
      expect(ours(kms_encryption_context: context, **v3).download(theirs)).to eq("theirs")
    end

    it "reads objects that we rotated" do
      to = Kms.create_key
      Kms.aws_v3(arn).put_object(bucket: bucket, key: key, body: AwsClients.body(data))
      expect(ours(to, decryption_keys: ["kms:#{arn}"], **v3).rotate(key).outcome).to eq(:rotated)
      expect(read_by(Kms.aws_v3(to))).to be_bytes(data)
    end
  end

  describe "the Python client" do
    %w[forbid_encrypt_allow_decrypt require_encrypt_require_decrypt].each do |policy|
      it "reads our objects, and we its objects, with #{policy}" do
        client = ours(commitment_policy: policy)
        client.upload(key, StringIO.new(data))
        expect(python(policy: policy).get(key)).to be_bytes(data)
        python(policy: policy).put(theirs = unique_key, data)
        expect_to_read(client, theirs)
      end

      it "reads objects that we rotated to another key, with #{policy}" do
        to = Kms.create_key
        python(policy: policy).put(key, data)
        rotating = ours(to, decryption_keys: ["kms:#{arn}"], commitment_policy: policy)
        expect(rotating.rotate(key).outcome).to eq(:rotated)
        expect(python(to, policy: policy).get(key)).to be_bytes(data)
      end
    end

    it "uses the same encryption context as we; both refuse another" do
      context = { "team" => "archive" }
      ours(kms_encryption_context: context, **v3).upload(key, StringIO.new("ours"))
      python(encryption_context: context).put(theirs = unique_key, "theirs")
      expect(python(encryption_context: context).get(key)).to eq("ours")
      expect(ours(kms_encryption_context: context, **v3).download(theirs)).to eq("theirs")
      expect { python.get(key) }.to raise_error(/encryption context/i)
      expect { ours(**v3).download(theirs) }.to raise_error(EncryptedS3Service::KeyringError)
    end
  end
end
