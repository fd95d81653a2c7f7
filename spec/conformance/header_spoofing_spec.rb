# frozen_string_literal: true

require_relative "cases"

# The suite's V3HeaderSpoofingTests and its siblings: an object that pretends to be of another format, to evade a policy
# or a check.
RSpec.describe "Conformance: an object that pretends to be of another format" do
  include_context "with the conformance server"

  policies = Conformance::Cases::POLICIES

  # @return [String] the key of a copy with the metadata that the block returns
  def pretending(source)
    copy(source) { |entries| [yield(entries), nil] }
  end

  describe "written as GCM, with the marks of KC-GCM" do
    before { Conformance::Peers::RubyV2.new(Conformance::Cases::AES, :gcm).put(key, text) }

    it "is read unchanged, and refused if the policy requires commitment" do
      expect(ours(commitmentPolicy: Conformance::Cases::FORBID).get(key)).to eq(text)
      expect { ours(commitmentPolicy: Conformance::Cases::REQUIRE).get(key) }.to refused(/reads V3 only/)
    end

    { "x-amz-c and x-amz-w" => { "x-amz-c" => "115", "x-amz-w" => "02" },
      "x-amz-c and the x-amz-w of KMS" => { "x-amz-c" => "115", "x-amz-w" => "12" },
      "x-amz-c" => { "x-amz-c" => "115" }, "x-amz-w" => { "x-amz-w" => "02" },
      "a commitment" => { "x-amz-d" => ["d" * 28].pack("m0") },
      "a message id" => { "x-amz-i" => ["i" * 28].pack("m0") },
      "all entries but the key" => { "x-amz-c" => "115", "x-amz-w" => "02", "x-amz-d" => ["d" * 28].pack("m0"),
                                     "x-amz-i" => ["i" * 28].pack("m0"), "x-amz-m" => "{}" } }.each do |name, added|
      policies.each do |policy|
        it "is refused under #{policy}: #{name}" do
          spoofed = pretending(key) { |entries| { **entries, **added } }
          expect { ours(commitmentPolicy: policy).get(spoofed) }.to refused(/mixes formats/)
        end
      end
    end

    it "is refused with its wrapped key under the name of KC-GCM, beside the old one or instead of it" do
      policies.each do |policy|
        both = pretending(key) { |entries| { **entries, "x-amz-3" => entries["x-amz-key-v2"] } }
        expect { ours(commitmentPolicy: policy).get(both) }.to refused(/mixes formats/)
        renamed = pretending(key) { |entries| entries.transform_keys("x-amz-key-v2" => "x-amz-3") }
        expect { ours(commitmentPolicy: policy).get(renamed) }.to refused(/mixes formats/)
      end
    end

    it "is refused as a whole envelope of KC-GCM around its wrapped key, which is bound to GCM" do
      spoofed = pretending(key) do |entries|
        { "x-amz-3" => entries["x-amz-key-v2"], "x-amz-w" => "02", "x-amz-c" => "115",
          "x-amz-d" => ["d" * 28].pack("m0"), "x-amz-i" => ["i" * 28].pack("m0") }
      end
      policies.each { |policy| expect { ours(commitmentPolicy: policy).get(spoofed) }.to refused }
    end

    it "is refused if its content is called CBC or CTR, or its key is called wrapped in an older way" do
      %w[AES/CBC/PKCS5Padding AES/CTR/NoPadding].each do |algorithm|
        spoofed = pretending(key) { |entries| { **entries, "x-amz-cek-alg" => algorithm } }
        expect { ours(**Conformance::Cases::LEGACY).get(spoofed) }.to refused
      end
      %w[AESWrap kms RSA/ECB/OAEPWithSHA-256AndMGF1Padding].each do |wrap|
        spoofed = pretending(key) { |entries| { **entries, "x-amz-wrap-alg" => wrap } }
        expect { ours(**Conformance::Cases::LEGACY).get(spoofed) }.to refused
      end
    end

    it "is refused as V1, by its wrapped key under the oldest name" do
      older = pretending(key) { |entries| entries.transform_keys("x-amz-key-v2" => "x-amz-key") }
      expect { ours.get(older) }.to refused
      expect { ours(**Conformance::Cases::LEGACY).get(older) }.to refused
    end
  end

  describe "written as KC-GCM, with the marks of an older format" do
    before { Conformance::Peers::Python.new(Conformance::Cases::AES, :kc_gcm).put(key, text) }

    { "the wrapped key of GCM" => "x-amz-key-v2", "the wrapped key of V1" => "x-amz-key" }.each do |what, name|
      it "is refused with #{what} beside its own, under every policy" do
        spoofed = pretending(key) { |entries| { **entries, name => entries["x-amz-3"] } }
        policies.each { |policy| expect { ours(commitmentPolicy: policy).get(spoofed) }.to refused(/mixes formats/) }
      end
    end

    { "x-amz-iv" => ["n" * 12].pack("m0"), "x-amz-cek-alg" => "AES/GCM/NoPadding", "x-amz-wrap-alg" => "AES/GCM",
      "x-amz-tag-len" => "128", "x-amz-matdesc" => "{}" }.each do |name, value|
      it "is refused with #{name} of GCM, under every policy" do
        spoofed = pretending(key) { |entries| { **entries, name => value } }
        policies.each { |policy| expect { ours(commitmentPolicy: policy).get(spoofed) }.to refused(/mixes formats/) }
      end
    end

    it "cannot lose its commitment: it does not open with an envelope of GCM around its wrapped key" do
      spoofed = pretending(key) do |entries|
        { "x-amz-key-v2" => entries["x-amz-3"], "x-amz-wrap-alg" => "AES/GCM", "x-amz-matdesc" => "{}",
          "x-amz-cek-alg" => "AES/GCM/NoPadding", "x-amz-tag-len" => "128", "x-amz-iv" => ["\x01" * 12].pack("m0") }
      end
      expect { ours(commitmentPolicy: Conformance::Cases::FORBID).get(spoofed) }.to refused
    end
  end
end
