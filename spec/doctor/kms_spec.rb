# frozen_string_literal: true

require "encrypted_s3_service/doctor"
require_relative "../support/doctor_findings"
require_relative "../support/kms"

RSpec.describe EncryptedS3Service::Doctor, "of a service with a key in AWS KMS" do
  include DoctorFindings

  let(:output) { StringIO.new }
  let(:arn) { Kms.create_key }

  after { server.list(bucket, prefix: "encrypted_s3_service-doctor/").each { |probe| server.delete(bucket, probe) } }

  def examine(**overrides)
    entry = { service: "EncryptedS3", **Kms.settings(arn, **overrides).compact }
    described_class.new({ "encrypted" => entry }, output: output).run
  end

  it "makes and opens a data key, reports the time, and continues with the store" do
    expect(examine).to be(true)
    text = /in AWS KMS: #{Regexp.escape(arn)} generated and decrypted a data key in \d+ ms/
    expect(findings["key"]).to match(["ok", text])
    expect(findings["rotation"].first).to eq("ok")
    expect(findings["round trip, 20 MiB"].first).to eq("ok")
    expect(server.list(bucket, prefix: "encrypted_s3_service-doctor/")).to eq([])
  end

  refused = {
    "AccessDeniedException" => /permission kms:GenerateDataKey/, "DisabledException" => /the key is disabled/,
    "NotFoundException" => /`kms_key_id` and `kms_region`/
  }
  refused.each do |code, advice|
    it "distinguishes #{code} from other problems, and examines the store anyway" do
      FaultProxy.run(Kms.server.endpoint) do |proxy|
        proxy.fault("GenerateDataKey", status: 400, answer: JSON.generate({ __type: code }))
        expect(examine(kms_endpoint: proxy.endpoint)).to be(false)
        expect(findings["key"]).to match(["FAILED", advice])
        expect(findings["round trip, 1 KiB"].first).to eq("ok")
      end
    end
  end

  it "reports a key whose deletion is pending, also a decryption key" do
    former = Kms.create_key
    Kms.client.schedule_key_deletion(key_id: former[%r{[^/]+\z}], pending_window_in_days: 7)
    expect(examine(decryption_keys: ["kms:#{former}"])).to be(true)
    expect(findings["reading keys"]).to match(["warning", /#{Regexp.escape(former)} in AWS KMS is PendingDeletion/])
    output.reopen(+"")
    expect(examine(kms_key_id: former)).to be(false)
    expect(findings["key"]).to match(["FAILED", /is PendingDeletion: it cannot be used/])
  end

  it "names the permission that is missing for a rotation from other keys" do
    FaultProxy.run(Kms.server.endpoint) do |proxy|
      proxy.fault("Encrypt", status: 400, answer: JSON.generate({ __type: "AccessDeniedException" }))
      examine(kms_endpoint: proxy.endpoint)
      expect(findings["rotation"]).to match(["warning", /kms:Encrypt/])
    end
  end

  it "needs no permission to describe the key" do
    FaultProxy.run(Kms.server.endpoint) do |proxy|
      proxy.fault("DescribeKey", status: 400, answer: JSON.generate({ __type: "AccessDeniedException" }))
      expect(examine(kms_endpoint: proxy.endpoint)).to be(true)
      expect(findings["key"].first).to eq("ok")
    end
  end

  it "names the problem of the settings" do
    expect(examine(kms_key_id: "no id at all")).to be(false)
    expect(findings["key"]).to match(["FAILED", /kms_key_id must be the id/])
  end
end
