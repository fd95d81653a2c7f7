# frozen_string_literal: true

require_relative "cases"

# The suite's BleichenbacherOracleTests and RsaV1LegacyDecryptTests. An attacker with write access to the bucket can
# have the private key applied to bytes of his choice, by storing them as a data key wrapped as in V1 (PKCS#1 v1.5).
RSpec.describe "Conformance: RSA keys and V1" do
  include_context "with the conformance server"

  rsa = Conformance::Cases::RSA
  policies = Conformance::Cases::POLICIES
  # Ciphertexts of an attacker: bytes that are not a ciphertext, ciphertexts without valid padding, and correctly padded
  # data keys of valid and invalid lengths.
  wrapped = {
    "zeros" => "\0" * 256, "ones" => "\x01" * 256,
    "another padding" => rsa.public_encrypt("k" * 32, OpenSSL::PKey::RSA::PKCS1_OAEP_PADDING),
    "32 bytes, padded" => rsa.public_encrypt("\0" * 32), "16 bytes, padded" => rsa.public_encrypt("k" * 16),
    "no bytes, padded" => rsa.public_encrypt(""), "245 bytes, padded" => rsa.public_encrypt("k" * 245)
  }

  def oracle_copy(bytes, in_file:)
    entries = { "x-amz-key" => [bytes].pack("m0"), "x-amz-iv" => ["\0" * 16].pack("m0"), "x-amz-matdesc" => "{}" }
    copy(key) { in_file ? [{}, entries] : [entries, nil] }
  end

  def answer(client, name)
    client.get(name)
    raise "#{name} was read"
  rescue Conformance::S3EncryptionClientError => e
    e.message.gsub(name, "the object")
  end

  { "in the metadata" => false, "in an instruction file" => true }.each do |place, in_file|
    policies.each do |policy|
      it "has the same response for valid and invalid padding, with legacy disabled under #{policy}: V1 #{place}" do
        client = ours(rsa, commitmentPolicy: policy)
        client.put(key, "secret")
        answers = wrapped.values.map { |bytes| answer(client, oracle_copy(bytes, in_file: in_file)) }
        expect(answers.uniq).to contain_exactly(/legacy|reads V3 only/)
      end
    end

    it "has the same response for valid and invalid padding, with legacy enabled too: V1 #{place}" do
      client = ours(rsa, **Conformance::Cases::LEGACY)
      client.put(key, "secret")
      # A body with wrong padding under each of the correctly padded keys above.
      restore(key, entries_of(key).transform_keys { |name| "x-amz-meta-#{name}" }, "\0" * 4096)
      answers = wrapped.values.map { |bytes| answer(client, oracle_copy(bytes, in_file: in_file)) }
      expect(answers.uniq).to contain_exactly(/cannot decrypt the legacy object/)
    end
  end

  describe "of a V1 object" do
    before { AwsClients.v1(rsa).put_object(bucket: bucket, key: key, body: text) }

    policies.first(2).each do |policy|
      it "is read under #{policy} if legacy is enabled" do
        expect(ours(rsa, commitmentPolicy: policy, **Conformance::Cases::LEGACY).get(key)).to eq(text)
      end

      it "is refused under #{policy} otherwise, and the error names the setting" do
        expect { ours(rsa, commitmentPolicy: policy).get(key) }.to refused(/legacy V1 format.*security_profile/)
      end
    end

    it "is refused under REQUIRE_ENCRYPT_REQUIRE_DECRYPT" do
      expect { ours(rsa, commitmentPolicy: policies.last).get(key) }.to refused
    end
  end
end
