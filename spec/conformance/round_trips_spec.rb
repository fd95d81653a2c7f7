# frozen_string_literal: true

require_relative "cases"

# The suite's RoundTripTests, GCMTestSuite and ExhaustiveRoundTripTests. They mostly use KMS keys, which differ only in
# how the data key is wrapped. Here static keys are used for the pairs of languages.
RSpec.describe "Conformance: round trips" do
  include_context "with the conformance server"

  policies = { gcm: Conformance::Cases::FORBID, kc_gcm: Conformance::Cases::REQUIRE }
  keys = { "an AES key" => Conformance::Cases::AES, "an RSA key" => Conformance::Cases::RSA }
  algorithms = { gcm: Conformance::Cases::GCM, kc_gcm: Conformance::Cases::KC_GCM }

  Conformance::Peers.with_formats.each do |name, peer, format|
    keys.each do |kind, wrapping_key|
      describe "with Amazon's client for #{name}, #{format.to_s.upcase.tr("_", "-")}, #{kind}:" do
        before { skip peer.missing if peer.missing }

        let(:client) { ours(wrapping_key, commitmentPolicy: policies[format], encryptionAlgorithm: algorithms[format]) }
        let(:theirs) { peer.new(wrapping_key, format) }

        it "our object is read there" do
          client.put(key, text)
          expect(algorithm_of(key)).to eq(algorithms[format])
          expect(theirs.get(key)).to eq(text)
        end

        it "its object is read here" do
          theirs.put(key, text)
          expect(algorithm_of(key)).to eq(algorithms[format])
          expect(client.get(key)).to eq(text)
        end
      end
    end
  end

  algorithms.each do |format, algorithm|
    it "goes from our client to our client: #{algorithm}" do
      client = ours(commitmentPolicy: policies[format], encryptionAlgorithm: algorithm)
      client.put(key, text)
      expect([algorithm_of(key), client.get(key)]).to eq([algorithm, text])
    end

    it "is refused under another key: #{algorithm}" do
      ours(commitmentPolicy: policies[format]).put(key, text)
      [OpenSSL::Random.random_bytes(32), Conformance::Cases::RSA].each do |other|
        expect { ours(other, commitmentPolicy: policies[format]).get(key) }.to refused
      end
    end
  end

  it "finds an object under a key with characters of all kinds" do
    name = unique_key("a b+c & d/ü/日本語/%2F.txt")
    ours.put(name, text)
    ruby = Conformance::Peers::RubyV2.new(Conformance::Cases::AES, :gcm)
    expect([ours, ruby].map { |client| client.get(name) }).to eq([text, text])
  end

  it "distinguishes errors of the server from those of the client" do
    expect { ours.get(key) }.to raise_error(Conformance::GenericServerError)
    server.put(bucket, key, "plaintext", {})
    expect { ours.get(key) }.to refused(/not encrypted/)
  end

  it "requires exactly one key of a known kind" do
    expect { Conformance::Connection.new(keyMaterial: {}) }.to refused
    both = { **material(Conformance::Cases::AES), **material(Conformance::Cases::RSA) }
    expect { Conformance::Connection.new(keyMaterial: both) }.to refused
  end

  it "never releases unauthenticated bytes: the option for that is refused" do
    expect { ours(enableDelayedAuthenticationMode: true) }.to refused
  end
end
