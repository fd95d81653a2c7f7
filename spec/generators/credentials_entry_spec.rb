# frozen_string_literal: true

require "generators/encrypted_s3_service/install/credentials_entry"

RSpec.describe EncryptedS3Service::Generators::CredentialsEntry do
  refusal = described_class::Refusal

  def added(text) = described_class.new(text).add("base64:KEY=")

  it "appends a section of its own" do
    expect(added("a: 1\n")).to eq(%(a: 1\n\nencrypted_s3:\n  encryption_key: "base64:KEY="\n))
  end

  it "completes a last line without a line end" do
    expect(added("a: 1 # one")).to eq(%(a: 1 # one\n\nencrypted_s3:\n  encryption_key: "base64:KEY="\n))
  end

  it "starts credentials that are empty or have only comments" do
    expect(added("")).to eq(%(encrypted_s3:\n  encryption_key: "base64:KEY="\n))
    expect(added("# none yet\n")).to eq(%(# none yet\n\nencrypted_s3:\n  encryption_key: "base64:KEY="\n))
  end

  it "is added to an existing section, with its indentation, before the other entries" do
    expect(added("encrypted_s3: # ours\n    # bucket\n    bucket: b\nz: 1\n"))
      .to eq(%(encrypted_s3: # ours\n    encryption_key: "base64:KEY="\n    # bucket\n    bucket: b\nz: 1\n))
  end

  it "is added to an existing empty section" do
    expect(added("encrypted_s3:\nz: 1\n")).to eq(%(encrypted_s3:\n  encryption_key: "base64:KEY="\nz: 1\n))
    expect(added("a: 1\nencrypted_s3:")).to eq(%(a: 1\nencrypted_s3:\n  encryption_key: "base64:KEY="\n))
  end

  it "keeps umlauts, anchors, block texts and line ends as they are" do
    text = "# Schlüssel\r\nbase: &base\r\n  a: 1\r\nmore:\r\n  <<: *base\r\n  text: |\r\n    encrypted_s3:\r\n"
    expect(added(text.b)).to start_with(text)
    expect(YAML.unsafe_load(added(text))).to include("more" => { "a" => 1, "text" => "encrypted_s3:\n" },
                                                     "encrypted_s3" => { "encryption_key" => "base64:KEY=" })
  end

  it "does not replace a key" do
    entry = described_class.new("encrypted_s3:\n  encryption_key: secret-value\n")
    expect(entry).to be_there
    expect { entry.add("base64:KEY=") }.to raise_error(refusal, /is not replaced/)
  end

  it "refuses forms without a safe position, and says what to do, without quoting them" do
    ["encrypted_s3: {bucket: secret-value}\n", "{a: secret-value}\n", "a: secret-value\n...\n---\nb: 2\n",
     "encrypted_s3:\n  encryption_key:\n  x: secret-value\n", "- secret-value\n", "secret-value: [\n",
     "a: \xFF secret-value\n"].each do |text|
      expect { added(text) }.to raise_error(refusal) { |e|
        expect(e.message).to match(/credentials:edit|not valid YAML/)
        expect(e.message).not_to include("secret-value")
      }
    end
  end

  it "does not take a scalar for its section" do
    entry = described_class.new("encrypted_s3: text\n")
    expect { entry.add("base64:KEY=") }.to raise_error(refusal)
  end
end
