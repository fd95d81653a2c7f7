# frozen_string_literal: true

require_relative "cases"

# The suite's ReEncryptTests: another key wraps the data key, and the body stays where it is. Amazon's Java client does
# so with instruction files, ours with an object's metadata.
RSpec.describe "Conformance: re-encryption" do
  include_context "with the conformance server"

  keys = { "AES" => [Conformance::Cases::AES, OpenSSL::Random.random_bytes(32)],
           "RSA" => [Conformance::Cases::RSA, OpenSSL::PKey::RSA.new(2048)] }
  pairs = keys.keys.product(keys.keys)

  pairs.each do |from, to|
    describe "from #{from} to #{to}" do
      let(:former) { keys[from].first }
      let(:wanted) { keys[to].last }
      let(:config) { { commitmentPolicy: Conformance::Cases::REQUIRE } }

      before { Conformance::Peers::Python.new(former, :kc_gcm).put(key, text) }

      it "leaves an object that the new key alone opens, here and in another language, with its body as it was" do
        body = stored(key).last
        ours(former, **config).reencrypt(key, material(wanted, keyId: "new"), EnforceRotation: "true")
        expect(ours(wanted, **config).get(key)).to eq(text)
        expect(Conformance::Peers::Python.new(wanted, :kc_gcm).get(key)).to eq(text)
        expect { ours(former, **config).get(key) }.to refused
        expect(stored(key).last).to be_bytes(body)
        expect(JSON.parse(entries_of(key)["x-amz-m"])).to eq("keyId" => "new").or eq("key_id" => "new")
      end

      it "keeps the commitment, so that nobody else's wrapped key passes afterwards" do
        Conformance::Peers::Python.new(former, :kc_gcm).put(other = unique_key, "another")
        [key, other].each { |name| ours(former, **config).reencrypt(name, material(wanted)) }
        bad = copy(key) { |entries| [{ **entries, "x-amz-3" => entries_of(other)["x-amz-3"] }, nil] }
        expect { ours(wanted, **config).get(bad) }.to refused(/commitment/)
      end
    end
  end

  it "with the same key is refused where rotation is enforced, and changes nothing otherwise" do
    ours(commitmentPolicy: Conformance::Cases::REQUIRE).put(key, text)
    before = object_itself(key)
    same = material(Conformance::Cases::AES)
    expect { ours.reencrypt(key, same, EnforceRotation: "true") }.to refused(/the new key is the old one/)
    expect(ours.reencrypt(key, same)).to include("key" => key)
    expect(object_itself(key)).to eq(before)
  end

  it "by a key that does not open the object is refused and changes nothing" do
    ours(commitmentPolicy: Conformance::Cases::REQUIRE).put(key, text)
    before = object_itself(key)
    stranger = ours(OpenSSL::Random.random_bytes(32))
    expect { stranger.reencrypt(key, material(OpenSSL::Random.random_bytes(32))) }.to refused
    expect(object_itself(key)).to eq(before)
  end
end
