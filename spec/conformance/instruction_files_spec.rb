# frozen_string_literal: true

require_relative "cases"

# The suite's InstructionFileFailures, and the instruction files of RoundTripTests and KC_GCMTestSuite.
RSpec.describe "Conformance: instruction files" do
  include_context "with the conformance server"

  keys = { "AES" => Conformance::Cases::AES, "RSA" => Conformance::Cases::RSA }
  policies = { "the default" => nil, "FORBID_ENCRYPT_ALLOW_DECRYPT" => Conformance::Cases::FORBID }

  def client(key = Conformance::Cases::AES, policy = nil) = ours(key, **{ commitmentPolicy: policy }.compact)

  keys.each do |kind, wrapping_key|
    it "of Amazon's Ruby client in GCM are read by default, under #{kind}" do
      Conformance::Peers::RubyV2.new(wrapping_key, :gcm, envelope_location: :instruction_file).put(key, text)
      expect(instruction_file(key)).to include("x-amz-key-v2")
      expect(client(wrapping_key).get(key)).to eq(text)
      expect { ours(wrapping_key, instructionFileConfig: { disableInstructionFile: true }).get(key) }.to refused
    end

    it "of Amazon's Ruby client in KC-GCM are read, under #{kind} and every policy" do
      skip Conformance::Peers::RubyV3.missing if Conformance::Peers::RubyV3.missing
      Conformance::Peers::RubyV3.new(wrapping_key, :kc_gcm, envelope_location: :instruction_file).put(key, text)
      expect(instruction_file(key).keys).to contain_exactly("x-amz-3", "x-amz-w", "x-amz-m")
      [nil, *Conformance::Cases::POLICIES].each do |policy|
        expect(client(wrapping_key, policy).get(key)).to eq(text)
      end
    end

    describe "in KC-GCM under #{kind}" do
      before { Conformance::Peers::Python.new(wrapping_key, :kc_gcm).put(key, text) }

      let(:name) { with_instruction_file(key) }
      let(:commitment) { entries_of(name).slice("x-amz-c", "x-amz-d", "x-amz-i") }

      it "are read, and so is a copy of both" do
        good = copy(name, instruction: instruction_file(name))
        expect([name, good].map { |object| client(wrapping_key).get(object) }).to eq([text, text])
      end

      policies.each do |label, policy|
        it "are refused with the commitment in both places, under #{label}" do
          bad = copy(name) { |entries| [entries, { **instruction_file(name), **commitment }] }
          expect { client(wrapping_key, policy).get(bad) }.to refused(/mixes formats/)
        end

        it "are refused with the commitment in the file alone, under #{label}" do
          bad = copy(name) { [{}, { **instruction_file(name), **commitment }] }
          expect { client(wrapping_key, policy).get(bad) }.to refused(/mixes formats/)
        end
      end

      it "are not needed if the object has its whole envelope" do
        expect(client(wrapping_key).get(key)).to eq(text)
      end

      it "are required: a deleted one is an error" do
        server.delete(bucket, "#{name}.instruction")
        [false, true].each do |disabled|
          reader = ours(wrapping_key, instructionFileConfig: { disableInstructionFile: disabled })
          expect { reader.get(name) }.to refused(/not encrypted by an S3 encryption client/)
        end
      end

      it "are refused if they contain something else" do
        [{ "invalid" => "json" }, {}, { "x-amz-3" => "" }, { "x-amz-3" => instruction_file(name)["x-amz-3"] },
         instruction_file(name).merge("x-amz-w" => "12"), instruction_file(name).merge("x-amz-w" => "2"),
         instruction_file(name).except("x-amz-w")].each do |file|
          bad = copy(name) { |entries| [entries, file] }
          expect { client(wrapping_key).get(bad) }.to refused
        end
      end
    end
  end

  it "of GCM are refused without the wrapped key's own name" do
    Conformance::Peers::RubyV2.new(Conformance::Cases::AES, :gcm, envelope_location: :instruction_file).put(key, text)
    file = instruction_file(key)
    bad = copy(key) do |entries|
      [entries, { **file.except("x-amz-key-v2"), "x-amz-key-v2-tampered" => file["x-amz-key-v2"] }]
    end
    expect { client(Conformance::Cases::AES, Conformance::Cases::FORBID).get(bad) }.to refused
  end

  it "of GCM cannot replace those of KC-GCM, nor the reverse" do
    Conformance::Peers::RubyV2.new(Conformance::Cases::AES, :gcm, envelope_location: :instruction_file).put(key, text)
    Conformance::Peers::Python.new(Conformance::Cases::AES, :kc_gcm).put(other = unique_key, text)
    committed = with_instruction_file(other)
    [[key, committed], [committed, key]].each do |object, file|
      bad = copy(object, instruction: instruction_file(file))
      expect { client.get(bad) }.to refused(/mixes formats/)
    end
  end

  it "are not written: the object has its envelope, with any option" do
    ours(instructionFileConfig: { enableInstructionFilePutObject: true }).put(key, text)
    expect(server.list(bucket, prefix: key)).to eq([key])
    expect(Conformance::Peers::RubyV2.new(Conformance::Cases::AES, :gcm).get(key)).to eq(text)
  end

  it "are read under another suffix if a request asks for it" do
    Conformance::Peers::RubyV2.new(Conformance::Cases::AES, :gcm, envelope_location: :instruction_file,
                                                                  instruction_file_suffix: ".other").put(key, text)
    expect { client.get(key) }.to refused
    expect(client.get(key, InstructionFileSuffix: ".other")).to eq(text)
  end
end
