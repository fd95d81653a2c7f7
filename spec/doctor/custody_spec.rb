# frozen_string_literal: true

require "encrypted_s3_service/doctor"
require_relative "../support/custody"
require_relative "../support/doctor_findings"

RSpec.describe EncryptedS3Service::Doctor, "and keys in custody" do
  include Custody
  include DoctorFindings

  let(:output) { StringIO.new }
  let(:transit_key) { bao.transit_key }
  let(:bytes) { SecureRandom.bytes(32) }
  let(:reference) { reference_to(transit_key, bytes) }

  after { server.list(bucket, prefix: "encrypted_s3_service-doctor/").each { |probe| server.delete(bucket, probe) } }

  def examine(**overrides)
    entry = { service: "EncryptedS3", **server.storage_yml(bucket).transform_keys(&:to_sym), **overrides }
    described_class.new({ "encrypted" => entry }, output: output).run
  end

  it "gets the key from the custodian, and says how long an outage of it is survived" do
    use_custodian(use_open_bao, ttl: 120)
    expect(examine(encryption_key: reference)).to be(true), output.string
    status, text = findings["key in custody"]
    expect(status).to eq("ok")
    expect(text).to match(/OpenBao at #{bao.address} returned the key \h{16}.*usable for 120 seconds at most/)
    expect(findings.values_at("round trip, 1 KiB", "rotation").map(&:first)).to eq(%w[ok ok])
    expect(bao.decryptions(transit_key)).to be_positive
    [bytes, [bytes].pack("m0"), OpenBaoServer::ROOT].each { |secret| expect(output.string.b).not_to include(secret) }
  end

  it "detects a revoked key although this process still has it, and continues with the other checks" do
    token = bao.token_for(transit_key)
    use_open_bao(token: token)
    new_client(encryption_key: reference, encryption_key_id: nil).upload(unique_key, StringIO.new("x"))
    bao.api!(:post, "auth/token/revoke", { token: token })
    expect(examine(encryption_key: reference)).to be(false)
    expect(findings["key in custody"]).to match(["FAILED", /403 permission denied/])
    expect(findings["round trip, 1 KiB"].first).to eq("ok")
  end

  it "tries each decryption key in custody" do
    use_open_bao
    gone = bao.transit_key
    former = reference_to(gone)
    bao.destroy(gone)
    expect(examine(encryption_key: SecureRandom.bytes(32), decryption_keys: [former])).to be(false)
    expect(findings["key in custody"]).to match(["FAILED", /`#{gone}`.*permanently unreadable/])
  end

  it "reports that no custodian is configured" do
    expect(examine(encryption_key: reference)).to be(false)
    expect(output.string).to include("set config.encrypted_s3_service.key_custodian")
  end

  describe "and recovery keys" do
    let(:pair) { OpenSSL::PKey::RSA.new(2048) }
    let(:fingerprint) { OpenSSL::Digest.hexdigest("SHA256", pair.public_to_der)[0, 16] }

    it "stores a probe for them, and opens one by a pair of its own" do
      expect(examine(encryption_key: SecureRandom.bytes(32), recovery_keys: [pair.public_to_pem])).to be(true)
      expect(findings["recovery keys"]).to match(["ok", /files can be opened by #{fingerprint}.*--recovery-key FILE/])
      expect(server.list(bucket, prefix: "encrypted_s3_service-doctor/")).to be_empty
    end

    it "does not mention them if there are none" do
      examine(encryption_key: "k" * 32)
      expect(findings).not_to have_key("recovery keys")
    end

    it "refuses a private key among them, and does not show it" do
      expect(examine(encryption_key: "k" * 32, recovery_keys: [pair.private_to_pem])).to be(false)
      expect(output.string).to include("recovery_keys.0 is a private key")
      expect(output.string).not_to include("BEGIN")
    end
  end
end
