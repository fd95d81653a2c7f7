# frozen_string_literal: true

require_relative "cases"

# The suite's RangedGetTests. Other clients decrypt ranges of GCM as CTR and check nothing but the commitment; they need
# the legacy switch for it. Ours checks each byte, and needs none.
RSpec.describe "Conformance: ranges" do
  include_context "with the conformance server"

  ranges = { "the start" => 0..5, "the middle" => 5..10, "the end" => -5..-1, "the whole" => 0..-1, "one byte" => 3..3,
             "more than there is" => 10..1000 }

  def range_of(client, name, range)
    size = text.bytesize
    first, last = [range.begin, range.end].map { |place| place.negative? ? size + place : place }
    client.get(name, Range: "bytes=#{first}-#{last}")
  end

  # For each format: the client that writes it, its algorithm, and the settings to read it.
  { "CBC" => [->(key) { AwsClients.v1(key) }, Conformance::Cases::CBC, Conformance::Cases::LEGACY],
    "GCM" => [->(key) { AwsClients.v2(key) }, Conformance::Cases::GCM, {}] }.each do |name, (writer, algorithm, config)|
    describe "of an object in #{name}" do
      before { writer.call(Conformance::Cases::AES).put_object(bucket: bucket, key: key, body: text) }

      ranges.each do |part, range|
        it "are right: #{part}" do
          expect(algorithm_of(key)).to eq(algorithm)
          expect(range_of(ours(**config), key, range)).to eq(text[range])
        end
      end
    end
  end

  { "with its envelope in its metadata" => false, "with an instruction file" => true }.each do |place, in_file|
    describe "of an object in KC-GCM #{place}" do
      let(:in_file) { in_file }
      let(:writer) { client }
      let(:name) do
        writer.put(key, text)
        in_file ? with_instruction_file(key) : key
      end
      let(:client) { ours(commitmentPolicy: Conformance::Cases::REQUIRE) }

      ranges.each do |part, range|
        context "when Amazon's Python client wrote it" do
          let(:writer) { Conformance::Peers::Python.new(Conformance::Cases::AES, :kc_gcm) }

          it "are right: #{part}" do
            expect(range_of(client, name, range)).to eq(text[range])
          end
        end

        it "are right of a copy: #{part}" do
          good = copy(name, instruction: in_file ? instruction_file(name) : nil)
          expect(range_of(client, good, range)).to eq(text[range])
        end
      end

      # @return [String] the key of a copy with other entries in the object itself
      def changed(&change)
        copy(name, instruction: in_file ? instruction_file(name) : nil) do |entries, file|
          [entries.merge(change.call(entries)), file]
        end
      end

      { "x-amz-d" => [0, 7, 8, 111, 223], "x-amz-i" => [0, 7, 8, 111, 223] }.each do |entry, bits|
        it "are refused if a bit of #{entry} is changed" do
          bits.each do |bit|
            bad = changed { |entries| { entry => flip_a_bit(entries[entry], bit) } }
            expect { range_of(client, bad, 0..5) }.to refused(/commitment/)
          end
        end
      end

      it "are refused if x-amz-c is changed" do
        ["114", "116", "0", "1150", "0115", "MTE1", ""].each do |suite|
          expect { range_of(client, changed { { "x-amz-c" => suite } }, 0..5) }.to refused
        end
      end

      { "too short" => 27, "too long" => 29, "one byte" => 1, "of twice the length" => 56 }.each do |length, bytes|
        %w[x-amz-d x-amz-i].each do |entry|
          it "are refused if #{entry} is #{length}" do
            bad = changed { |entries| { entry => [(entries[entry].unpack1("m0") * 2).byteslice(0, bytes)].pack("m0") } }
            expect { range_of(client, bad, 0..5) }.to refused(/#{entry} does not have 28 bytes/)
          end
        end
      end

      it "are refused if any entry of the commitment is missing" do
        %w[x-amz-c x-amz-d x-amz-i].each do |entry|
          bad = copy(name, instruction: in_file ? instruction_file(name) : nil) do |entries, file|
            [entries.except(entry), file]
          end
          expect { range_of(client, bad, 0..5) }.to refused
        end
      end
    end
  end

  it "are refused if the commitment is in the instruction file, additionally or only there" do
    Conformance::Peers::Python.new(Conformance::Cases::AES, :kc_gcm).put(key, text)
    name = with_instruction_file(key)
    commitment = entries_of(name).slice("x-amz-c", "x-amz-d", "x-amz-i")
    file = { **instruction_file(name), **commitment }
    [copy(name) { |entries| [entries, file] }, copy(name) { [{}, file] }].each do |bad|
      expect { range_of(ours, bad, 0..5) }.to refused(/mixes formats/)
    end
  end

  it "are refused if the body was changed anywhere; the other clients return them" do
    ours.put(key, text)
    restore(key, entries_of(key).transform_keys { |name| "x-amz-meta-#{name}" },
            stored(key).last.tap { |body| body.setbyte(-20, body.getbyte(-20) ^ 1) })
    expect { range_of(ours, key, 0..5) }.to refused
  end
end
