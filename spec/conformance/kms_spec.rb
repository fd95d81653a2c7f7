# frozen_string_literal: true

require_relative "cases"

# The cases of the suite whose keys are keys in AWS KMS: most of RoundTripTests, V3HeaderSpoofingTests, and the KMS
# variants of InstructionFileFailures and RangedGetTests.
RSpec.describe "Conformance: keys in AWS KMS" do
  include_context "with the conformance server"

  formats = { "FORBID_ENCRYPT_ALLOW_DECRYPT" =>
                [Conformance::Cases::GCM, "AES/GCM/NoPadding", "x-amz-wrap-alg", "kms+context", "x-amz-matdesc"],
              "REQUIRE_ENCRYPT_REQUIRE_DECRYPT" =>
                [Conformance::Cases::KC_GCM, "115", "x-amz-w", "12", "x-amz-t"] }

  let(:arn) { Kms.create_key }
  let(:context) { { "user-defined-enc-ctx-key" => "value", "user-defined-enc-ctx-key-2" => "value 2" } }

  # The header with an encryption context, in the model's format.
  def context_header(context) = { "Content-Metadata": context.map { |name, value| "[#{name}]:[#{value}]" }.join(",") }

  def python(policy, **)
    EncryptionClient.new(kms_key_id: arn, kms_endpoint: Kms.server.endpoint, commitment_policy: policy.downcase, **)
  end

  # The refusal comes from KMS, not from the client.
  def denied_by_kms = raise_error(Conformance::GenericServerError, /Decrypt with the KMS key/)

  def ruby_v2 = Kms.aws_v2(arn)

  def v1 = AwsClients.v1_kms(arn, Kms.client)

  def read_by_ruby(client, **) = client.get_object(bucket: bucket, key: key, **).body.read

  formats.each do |policy, (algorithm, suite, entry, wrap, description)|
    describe "under #{policy}" do
      let(:client) { ours(arn, commitmentPolicy: policy, encryptionAlgorithm: algorithm) }

      it "write objects that the Python client reads" do
        client.put(key, text)
        expect([algorithm_of(key), entries_of(key)[entry]]).to eq([algorithm, wrap])
        expect(python(policy).get(key)).to eq(text)
      end

      it "read objects that the Python client writes" do
        python(policy).put(key, text)
        expect([algorithm_of(key), client.get(key)]).to eq([algorithm, text])
        expect(client.get(key, Range: "bytes=5-10")).to eq(text[5..10])
      end

      it "write and read with an encryption context, as the Python client does" do
        client.put(key, text, **context_header(context))
        expect(JSON.parse(entries_of(key)[description])).to eq({ **context, "aws:x-amz-cek-alg" => suite })
        expect(client.get(key, **context_header(context))).to eq(text)
        expect(python(policy, encryption_context: context).get(key)).to eq(text)
        python(policy, encryption_context: context).put(theirs = unique_key, text)
        expect(client.get(theirs, **context_header(context))).to eq(text)
      end

      it "refuse another encryption context than the object's: none, a part of it, more, or a wrong one" do
        client.put(key, text, **context_header(context))
        [{}, context.first(1).to_h, { **context, "more" => "x" }, { "this-is-wrong-ec-key" => "bad-value" },
         context.transform_values { "bad" }].each do |other|
          expect { client.get(key, **context_header(other)) }.to refused(/kms_encryption_context/)
        end
      end

      it "open no object of another key" do
        client.put(key, text)
        expect { ours(Kms.create_key, commitmentPolicy: policy).get(key) }.to denied_by_kms
      end

      it "are bound to the content's algorithm by their context" do
        client.put(key, text)
        other = (["115", "AES/GCM/NoPadding"] - [suite]).first
        bad = copy(key) do |entries|
          stored = JSON.parse(entries[description])
          expect(stored).to include("aws:x-amz-cek-alg" => suite)
          [{ **entries, description => JSON.generate(stored.merge("aws:x-amz-cek-alg" => other)) }, nil]
        end
        expect { client.get(bad) }.to refused
      end
    end
  end

  it "write objects that Amazon's Ruby client reads, and read its objects" do
    ours(arn).put(key, text, **context_header(context))
    expect(read_by_ruby(ruby_v2, kms_encryption_context: context)).to eq(text)
    ruby_v2.put_object(bucket: bucket, key: key, body: text, kms_encryption_context: context)
    expect(ours(arn).get(key, **context_header(context))).to eq(text)
  end

  it "of V1 (kms, CBC) are read if legacy is enabled, and refused otherwise" do
    v1.put_object(bucket: bucket, key: key, body: text)
    expect(ours(arn, **Conformance::Cases::LEGACY).get(key)).to eq(text)
    expect(ours(arn, **Conformance::Cases::LEGACY).get(key, Range: "bytes=5-10")).to eq(text[5..10])
    expect { ours(arn).get(key) }.to refused(/v2_and_legacy or v3_and_legacy/)
    expect { ours(arn, commitmentPolicy: Conformance::Cases::REQUIRE).get(key) }.to refused(/reads V3 only/)
  end

  # Objects of Amazon's first Java client in its authenticated mode: the context binds no algorithm.
  def put_v1_of_java(context)
    context = { "kms_cmk_id" => arn, **context }
    data_key = OpenSSL::Random.random_bytes(32)
    wrapped = Kms.client.encrypt(key_id: arn, plaintext: data_key, encryption_context: context).ciphertext_blob
    cipher = OpenSSL::Cipher.new("aes-256-gcm").encrypt
    cipher.key = data_key
    nonce = cipher.random_iv
    body = cipher.update(text) + cipher.final + cipher.auth_tag
    entries = { "key-v2" => [wrapped].pack("m0"), "iv" => [nonce].pack("m0"), "matdesc" => JSON.generate(context),
                "wrap-alg" => "kms", "cek-alg" => "AES/GCM/NoPadding", "tag-len" => "128" }
    restore(key, entries.transform_keys { |name| "x-amz-meta-x-amz-#{name}" }, body)
  end

  it "of V1 with a context are read with that context if legacy is enabled, and refused otherwise" do
    [{}, { "user-metadata-key" => "user-metadata-value-v1" }].each do |context|
      put_v1_of_java(context)
      expect(ours(arn, **Conformance::Cases::LEGACY).get(key, **context_header(context))).to eq(text)
      expect { ours(arn).get(key, **context_header(context)) }.to refused(/v2_and_legacy or v3_and_legacy/)
    end
  end

  it "do not satisfy the policy with the headers of V3 beside those of V2" do
    ruby_v2.put_object(bucket: bucket, key: key, body: text)
    spoofed = copy(key) { |entries| [{ **entries, "x-amz-c" => "115", "x-amz-w" => "12" }, nil] }
    Conformance::Cases::POLICIES.each do |policy|
      expect { ours(arn, commitmentPolicy: policy).get(spoofed) }.to refused(/mixes formats/)
    end
    expect(ours(arn, commitmentPolicy: Conformance::Cases::FORBID).get(key)).to eq(text)
  end

  it "are read from an instruction file in V2 by default" do
    Kms.aws_v2(arn, envelope_location: :instruction_file).put_object(bucket: bucket, key: key, body: text)
    expect(ours(arn).get(key)).to eq(text)
  end

  describe "with an instruction file in V3" do
    before { python("REQUIRE_ENCRYPT_REQUIRE_DECRYPT").put(key, text) }

    let(:name) { with_instruction_file(key) }

    it "are read, and so is a copy of both" do
      expect([name, copy(name, instruction: instruction_file(name))].map { |object| ours(arn).get(object) }.uniq)
        .to eq([text])
    end

    it "are refused with the commitment in both places or in the file alone, under every policy" do
      file = { **instruction_file(name), **entries_of(name).slice("x-amz-c", "x-amz-d", "x-amz-i") }
      [copy(name) { |entries| [entries, file] }, copy(name) { [{}, file] }].each do |bad|
        [{}, { commitmentPolicy: Conformance::Cases::FORBID }].each do |policy|
          expect { ours(arn, **policy).get(bad) }.to refused(/mixes formats/)
        end
      end
    end

    it "are refused if the file contains something else, or the commitment was changed" do
      bad = copy(name) { |entries| [entries, { "invalid" => "json" }] }
      changed = copy(name, instruction: instruction_file(name)) do |entries, file|
        [{ **entries, "x-amz-d" => flip_a_bit(entries["x-amz-d"], 9) }, file]
      end
      [bad, changed].each { |object| expect { ours(arn).get(object) }.to refused }
    end
  end

  it "change to another key, and from and to an AES key" do
    ours(arn).put(key, text)
    ours(arn).reencrypt(key, material(to = Kms.create_key), EnforceRotation: "true")
    expect(ours(to).get(key)).to eq(text)
    expect { ours(arn).get(key) }.to denied_by_kms
    ours(to).reencrypt(key, material(Conformance::Cases::AES))
    expect(ours.get(key)).to eq(text)
    ours.reencrypt(key, material(arn))
    expect([ours(arn).get(key), read_by_ruby(ruby_v2)]).to eq([text, text])
  end
end
