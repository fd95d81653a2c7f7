# frozen_string_literal: true

require_relative "cases"

# The suite's GCMTestSuite, KC_GCMTestSuite, CBCDecryptTests, ExhaustiveRoundTripTests and
# KeyCommitmentPolicyEncryptFailureTests: the formats that each policy writes and reads. Without a policy our client is
# a "client in transition" in the suite's terms: it writes GCM and also reads KC-GCM.
RSpec.describe "Conformance: commitment policies" do
  include_context "with the conformance server"

  writers = { Conformance::Cases::GCM => [Conformance::Peers::RubyV2, :gcm],
              Conformance::Cases::KC_GCM => [Conformance::Peers::Python, :kc_gcm] }
  written = { nil => Conformance::Cases::GCM, Conformance::Cases::FORBID => Conformance::Cases::GCM,
              Conformance::Cases::ALLOW => Conformance::Cases::KC_GCM,
              Conformance::Cases::REQUIRE => Conformance::Cases::KC_GCM }
  keys = { "AES" => Conformance::Cases::AES, "RSA" => Conformance::Cases::RSA }

  keys.each do |kind, wrapping_key|
    written.each do |policy, algorithm|
      it "#{policy || "no policy"} writes #{algorithm} under #{kind}" do
        client = ours(wrapping_key, **{ commitmentPolicy: policy }.compact)
        client.put(key, text)
        expect([algorithm_of(key), client.get(key)]).to eq([algorithm, text])
      end

      writers.each do |theirs, (peer, format)|
        reads = policy != Conformance::Cases::REQUIRE || theirs == Conformance::Cases::KC_GCM
        it "#{policy || "no policy"} #{reads ? "reads" : "refuses"} #{theirs} under #{kind}" do
          peer.new(wrapping_key, format).put(key, text)
          client = ours(wrapping_key, **{ commitmentPolicy: policy }.compact)
          next expect(client.get(key)).to eq(text) if reads

          expect { client.get(key) }.to refused(/require_encrypt_require_decrypt reads V3 only/)
        end
      end
    end

    describe "of an object in CBC under #{kind}" do
      before { AwsClients.v1(wrapping_key).put_object(bucket: bucket, key: key, body: text) }

      [nil, Conformance::Cases::FORBID, Conformance::Cases::ALLOW].each do |policy|
        it "#{policy || "no policy"} reads it if legacy is enabled" do
          client = ours(wrapping_key, **{ commitmentPolicy: policy }.compact, **Conformance::Cases::LEGACY)
          expect([algorithm_of(key), client.get(key)]).to eq([Conformance::Cases::CBC, text])
        end

        it "#{policy || "no policy"} refuses it otherwise, and names the setting that reads it" do
          client = ours(wrapping_key, **{ commitmentPolicy: policy }.compact)
          expect { client.get(key) }.to refused(/legacy V1 format.*v2_and_legacy or v3_and_legacy/)
        end
      end

      it "REQUIRE_ENCRYPT_REQUIRE_DECRYPT refuses it, with or without legacy" do
        policy = { commitmentPolicy: Conformance::Cases::REQUIRE }
        expect { ours(wrapping_key, **policy).get(key) }.to refused(/reads V3 only/)
        expect { ours(wrapping_key, **policy, **Conformance::Cases::LEGACY).get(key) }.to refused(/contradicts/)
      end
    end
  end

  { Conformance::Cases::ALLOW => Conformance::Cases::GCM, Conformance::Cases::REQUIRE => Conformance::Cases::GCM,
    Conformance::Cases::FORBID => Conformance::Cases::KC_GCM }.each do |policy, algorithm|
    it "#{policy} does not write #{algorithm}" do
      expect { ours(commitmentPolicy: policy, encryptionAlgorithm: algorithm).put(key, text) }
        .to refused(/encryptionAlgorithm #{algorithm}/)
      expect(server.list(bucket, prefix: key)).to be_empty
    end
  end

  Conformance::Cases::POLICIES.each do |policy|
    ["ALG_AES_256_CBC_IV16_NO_KDF", "ALG_AES_256_CTR_IV16_TAG16_NO_KDF", "ALG_AES_256_CTR_HKDF_SHA512_COMMIT_KEY",
     "anything else"].each do |algorithm|
      it "#{policy} does not write #{algorithm}" do
        expect { ours(commitmentPolicy: policy, encryptionAlgorithm: algorithm, **legacy(policy)) }
          .to refused(/encryptionAlgorithm #{algorithm}/)
      end
    end
  end

  def legacy(policy) = policy == Conformance::Cases::REQUIRE ? {} : Conformance::Cases::LEGACY

  it "has no other policies" do
    expect { ours(commitmentPolicy: "FORBID_ENCRYPT_FORBID_DECRYPT") }.to refused(/commitment_policy must be one of/)
  end
end
