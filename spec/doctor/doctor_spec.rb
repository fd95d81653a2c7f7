# frozen_string_literal: true

require_relative "../support/examined_service"
require_relative "../support/fault_proxy"

RSpec.describe EncryptedS3Service::Doctor do
  include_context "with an entry to examine"

  it "reports success for a working service, and leaves nothing in its bucket" do
    expect(examine).to be(true)
    expect(statuses).to eq(
      "configuration" => "ok", "key" => "ok", "endpoint" => "ok", "clock" => "ok", "credentials" => "ok",
      "bucket" => "ok", "checksums" => "ok", "response checksums" => "ok", "s3:PutObject" => "ok",
      "s3:GetObject" => "ok", "s3:ListBucket" => "ok", "s3:AbortMultipartUpload" => "ok", "public access" => "ok",
      "round trip, 1 KiB" => "ok", "round trip, 20 MiB" => "ok", "rotation" => "ok",
      "segment maps" => "ok", "bulk deletion" => "ok",
      "s3:DeleteObject" => "ok", "versioning" => "ok", "lifecycle" => "hint"
    )
    expect(output.string).to start_with("encrypted: bucket #{bucket}\n")
      .and end_with("No check failed.\n")
    expect_nothing_left
  end

  it "compares the size in the bucket: that of the file and a tag" do
    examine
    expect(findings["round trip, 1 KiB"].last).to include("bucket has 1040 bytes without the plaintext")
    expect(findings["round trip, 20 MiB"].last).to include("bucket has 20971528 bytes without the plaintext")
  end

  it "sends the large file in parts with any threshold of the entry" do
    FaultProxy.run(server.endpoint) do |proxy|
      examine(endpoint: proxy.endpoint, upload: { multipart_threshold: 64 << 20, part_size: 64 << 20 })
      expect(proxy.requests("UploadPart").map(&:part).sort).to eq([1, 2, 3, 4, 5])
    end
  end

  it "shows no key, no credential and no signature, not even in colours on a terminal" do
    allow(output).to receive(:tty?).and_return(true)
    examine
    expect(output.string).to include("\e[32mok")
    [key, key.delete_prefix("base64:"), server.secret_access_key, server.access_key_id, "Signature", "X-Amz"]
      .each { |secret| expect(output.string).not_to include(secret) }
  end

  it "aligns its lines" do
    examine
    lines = output.string.lines.grep(/\A  /)
    expect(lines.map { |line| line.match(/\A  \w+ +\S.*?  +/).end(0) }.uniq.size).to eq(1)
  end

  it "examines every EncryptedS3 service, and no other" do
    entries = { "one" => entry, "disk" => { "service" => "Disk", "root" => "/nowhere" },
                "two" => entry(bucket: "no-such-bucket").transform_keys(&:to_s) }
    expect(described_class.new(entries, output: output).run).to be(false)
    expect(output.string.lines.grep(/^\w+: bucket/).join).to match(/\Aone: .*\ntwo: .*\n\z/)
  end

  it "examines the given service" do
    entries = { one: entry(bucket: "no-such-bucket"), two: entry }
    expect(described_class.new(entries, output: output).run("two")).to be(true)
    expect(output.string).not_to include("one: ")
  end

  it "lists the existing services when the given one is unknown" do
    expect { described_class.new({ one: entry, disk: { service: "Disk" } }, output: output).run("disk") }
      .to raise_error(EncryptedS3Service::ConfigurationError, /no EncryptedS3 service "disk"\..*storage.yml has one\./)
    expect { described_class.new({ disk: { service: "Disk" } }, output: output).run }
      .to raise_error(EncryptedS3Service::ConfigurationError, /no entry with `service: EncryptedS3`.*install/)
  end

  describe "of segment maps" do
    def examine_with(operation, answer, **)
      FaultProxy.run(server.endpoint) do |proxy|
        denying = ->(request) { request.target.include?("/segments.segments") }
        proxy.fault(operation, only: denying, **answer)
        examine(endpoint: proxy.endpoint, **)
      end
      findings["segment maps"]
    end

    it "warns if they cannot be stored, which is no failure" do
      expect(examine_with("PutObject", denied))
        .to match(["warning", /stored without them \(403 AccessDenied\).*\.segments/])
      expect(output.string).to end_with("No check failed.\n")
    end

    it "warns if they cannot be read" do
      expect(examine_with("GetObject", denied)).to match(["warning", /unreadable.*s3:GetObject/])
    end

    it "reports that they cannot be deleted" do
      expect(examine_with("DeleteObject", denied)).to match(["skipped", /not allowed \(403 AccessDenied\)/])
      server.list(bucket, prefix: "encrypted_s3_service-doctor/").each { |key| server.delete(bucket, key) }
    end

    it "skips them if they are switched off" do
      examine(segment_index: false)
      expect(findings["segment maps"]).to eq(["skipped", "`segment_index` is false"])
    end
  end

  describe "of the settings" do
    it "names an unknown one, and sends the store no request" do
      expect(examine(regoin: "x")).to be(false)
      expect(findings["configuration"]).to match(["FAILED", /regoin is not a setting.*Did you mean region/])
      expect(statuses).not_to include("endpoint")
    end

    it "does not show credentials in the endpoint" do
      examine(endpoint: "https://id:c0nfidential@s3.example.com")
      expect(findings["configuration"]).to match(["FAILED", /endpoint must be a URL.*without credentials/])
      expect(output.string).not_to include("c0nfidential")
    end

    it "distinguishes a wrong setting from a wrong key" do
      examine(encryption_key: "short", bucket: nil)
      expect(findings["configuration"]).to eq(["FAILED", "bucket is missing"])
      expect(findings["key"]).to match(["FAILED", /exactly 32 bytes, not 5/])
    end
  end

  describe "of the key" do
    def key_finding(value)
      examine(encryption_key: value, endpoint: "http://127.0.0.1:1")
      findings["key"]
    end

    it "says how to make one if it is missing" do
      expect(key_finding(nil)).to match(["FAILED", /missing\. Generate one with .*encrypted_s3_service:generate_key/])
      expect(statuses["configuration"]).to eq("ok")
    end

    it "examines the store even without a valid key" do
      expect(examine(encryption_key: nil)).to be(false)
      expect(statuses.values.count("FAILED")).to eq(1)
      expect(statuses["round trip, 20 MiB"]).to eq("ok")
    end

    it "refuses one of a wrong length" do
      expect(key_finding("base64:#{["k" * 16].pack("m0")}")).to match(["FAILED", /exactly 32 bytes, not 16/])
    end

    it "refuses one repeated byte, a sequence, or a repeated word" do
      ["\0" * 32, (0..31).to_a.pack("C*"), "password" * 4].each do |bytes|
        output.truncate(output.rewind)
        expect(key_finding("base64:#{[bytes].pack("m0")}")).to match(["FAILED", /guessable.*Keep this one/])
      end
    end

    it "advises against text that a person wrote" do
      status, text = key_finding("The quick brown fox jumps over12")
      expect([status, text]).to match(["warning", /printable text.*generate_key/])
      expect(text).not_to include("quick")
    end

    it "shows the key's id, which every object shows too" do
      expect(key_finding(key)).to eq(["ok", "32 bytes, id #{EncryptedS3Service::EncryptionKey.new(key).id}"])
    end
  end
end
