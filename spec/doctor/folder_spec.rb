# frozen_string_literal: true

require_relative "../support/examined_service"
require_relative "../support/fault_proxy"

RSpec.describe EncryptedS3Service::Doctor do
  include_context "with an entry to examine"

  describe "of a service with a folder" do
    around { |example| Dir.mktmpdir { |folder| @root = File.join(folder, "files") and example.run } }

    def examine(**overrides)
      entry = { service: "EncryptedS3", root: @root, encryption_key: key, **overrides }
      described_class.new({ "encrypted" => entry }, output: output).run
    end

    it "tests the operations of a folder, and leaves nothing in it" do
      expect(examine).to be(true), output.string
      expect(statuses).to eq("configuration" => "ok", "key" => "ok", "folder" => "ok", "round trip, 1 KiB" => "ok",
                             "round trip, 20 MiB" => "ok", "rotation" => "ok", "segment maps" => "ok",
                             "bulk deletion" => "ok")
      expect(output.string).to start_with("encrypted: folder #{@root}\n").and end_with("No check failed.\n")
      left = Dir.glob("**/*", File::FNM_DOTMATCH, base: @root).select { |name| File.file?(File.join(@root, name)) }
      expect(left).to eq([".encrypted_s3/lock"])
    end

    it "names a folder that is not writable, and skips the other checks" do
      File.write(@root, "a file")
      expect(examine).to be(false)
      expect(findings["folder"]).to match(["FAILED", /cannot .*#{@root}.*Check `root`/])
      expect(statuses.keys).to eq(%w[configuration key folder])
    end

    it "warns about it in production" do
      stub_const("Rails", Module.new { def self.env = Class.new { def production? = true }.new })
      examine
      expect(findings["folder"]).to match(["warning", /is on this machine only.*set `bucket`/])
    end

    it "names a setting that belongs to a bucket" do
      examine(region: "eu-central-1")
      expect(findings["configuration"]).to match(["FAILED", /\Aregion cannot be used with root/])
    end
  end

  it "removes its probes when it is interrupted" do
    FaultProxy.run(server.endpoint) do |proxy|
      proxy.fault("UploadPart", times: 1) { Thread.main.raise(Interrupt) }
      expect { examine(endpoint: proxy.endpoint) }.to raise_error(Interrupt)
    end
    expect_nothing_left
  end

  it "reports that other bytes come back than were stored" do
    client = instance_double(EncryptedS3Service::Client, upload: nil, delete: nil, download: "something else")
    service = instance_double(described_class::ExaminedService, client: client, probe: "probe", gone: nil)
    expect(described_class::SmallRoundTripCheck.new(service).call)
      .to have_attributes(status: :failed, text: "the downloaded file is not the stored one")
  end
end
