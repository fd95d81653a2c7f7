# frozen_string_literal: true

require_relative "cases"

# The suite's ReEncryptTests: the data key is wrapped with another key, and the body does not change. Amazon's Java
# client does this only with instruction files, ours also with the metadata of an object.
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

      it "leaves an object that only the new key opens, here and in another language, with the same body" do
        body = stored(key).last
        ours(former, **config).reencrypt(key, material(wanted, keyId: "new"), EnforceRotation: "true")
        expect(ours(wanted, **config).get(key)).to eq(text)
        expect(Conformance::Peers::Python.new(wanted, :kc_gcm).get(key)).to eq(text)
        expect { ours(former, **config).get(key) }.to refused
        expect(stored(key).last).to be_bytes(body)
        expect(JSON.parse(entries_of(key)["x-amz-m"])).to eq("keyId" => "new").or eq("key_id" => "new")
      end

      it "keeps the commitment, so that the wrapped key of another object is refused afterwards" do
        Conformance::Peers::Python.new(former, :kc_gcm).put(other = unique_key, "another")
        [key, other].each { |name| ours(former, **config).reencrypt(name, material(wanted)) }
        bad = copy(key) { |entries| [{ **entries, "x-amz-3" => entries_of(other)["x-amz-3"] }, nil] }
        expect { ours(wanted, **config).get(bad) }.to refused(/commitment/)
      end
    end

    describe "from #{from} to #{to}, of an object with an instruction file" do
      let(:former) { keys[from].first }
      let(:wanted) { keys[to].last }

      it "replaces the file of KC-GCM and leaves the object unchanged; only the new key opens it" do
        Conformance::Peers::Python.new(former, :kc_gcm).put(key, text)
        before = object_itself(name = with_instruction_file(key))
        ours(former).reencrypt(name, material(wanted, keyId: "new"), EnforceRotation: "true")
        expect(ours(wanted, commitmentPolicy: Conformance::Cases::REQUIRE).get(name)).to eq(text)
        expect { ours(former).get(name) }.to refused
        expect(object_itself(name)).to eq(before)
        expect(instruction_file(name).keys).to contain_exactly("x-amz-3", "x-amz-w", "x-amz-m")
      end

      it "replaces the file of GCM, and Amazon's Ruby client reads it with the new key" do
        Conformance::Peers::RubyV2.new(former, :gcm, envelope_location: :instruction_file).put(key, text)
        before = object_itself(key)
        ours(former).reencrypt(key, material(wanted), EnforceRotation: "true")
        ruby = Conformance::Peers::RubyV2.new(wanted, :gcm, envelope_location: :instruction_file)
        expect([ruby.get(key), ours(wanted).get(key)]).to eq([text, text])
        expect(object_itself(key)).to eq(before)
      end

      it "leaves a file of KC-GCM that Amazon's Ruby client of V3 reads" do
        skip Conformance::Peers::RubyV3.missing if Conformance::Peers::RubyV3.missing
        Conformance::Peers::RubyV3.new(former, :kc_gcm, envelope_location: :instruction_file).put(key, text)
        ours(former).reencrypt(key, material(wanted))
        ruby = Conformance::Peers::RubyV3.new(wanted, :kc_gcm, envelope_location: :instruction_file)
        expect(ruby.get(key)).to eq(text)
      end
    end
  end

  it "of an instruction file uses its own suffix if a request asks for one" do
    Conformance::Peers::RubyV2.new(Conformance::Cases::AES, :gcm, envelope_location: :instruction_file,
                                                                  instruction_file_suffix: ".instruction-rsa")
                              .put(key, text)
    ours.reencrypt(key, material(Conformance::Cases::RSA), InstructionFileSuffix: "instruction-rsa")
    expect(ours(Conformance::Cases::RSA).get(key, InstructionFileSuffix: ".instruction-rsa")).to eq(text)
  end

  it "with the same key is refused if rotation is enforced, and otherwise changes nothing" do
    ours(commitmentPolicy: Conformance::Cases::REQUIRE).put(key, text)
    before = object_itself(key)
    same = material(Conformance::Cases::AES)
    expect { ours.reencrypt(key, same, EnforceRotation: "true") }.to refused(/the new key is the old one/)
    expect(ours.reencrypt(key, same)).to include("key" => key)
    expect(object_itself(key)).to eq(before)
  end

  it "with a key that does not open the object is refused and changes nothing" do
    ours(commitmentPolicy: Conformance::Cases::REQUIRE).put(key, text)
    before = object_itself(key)
    stranger = ours(OpenSSL::Random.random_bytes(32))
    expect { stranger.reencrypt(key, material(OpenSSL::Random.random_bytes(32))) }.to refused
    expect(object_itself(key)).to eq(before)
  end
end
