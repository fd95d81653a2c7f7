# frozen_string_literal: true

require_relative "../active_storage_helper"
require_relative "../support/task_helpers"
require "encrypted_s3_service/maintenance/migration"
require "encrypted_s3_service/maintenance/rotation/command"

# How the tasks handle the entry by which recovery keys open an object.
RSpec.describe "Tasks and recovery keys", :active_storage do
  include TaskHelpers

  before { forget_all_files }

  let(:output) { StringIO.new }
  let(:pair) { OpenSSL::PKey::RSA.new(2048) }

  def entry(**) = { service: "EncryptedS3", **TestStore.settings, ** }

  def rotate(**variables)
    EncryptedS3Service::Rotation::Command.new(variables.transform_keys(&:to_s), output: output).rotate
  end

  def audit = EncryptedS3Service::Rotation::Command.new({}, output: output).audit

  def recovered(blob)
    EncryptedS3Service::RecoveryClient.new(pair.private_to_der,
                                           **TestStore.settings.except(:encryption_key, :encryption_key_id))
                                      .download(blob.key)
  end

  it "rotate adds an entry to every object without one, audit counts them, and then nothing is left to do" do
    resolving("now" => entry(recovery_keys: [pair.public_to_pem])) do
      blobs = %w[a b].map { |text| blob_of(text, "a.bin", service_name: "encrypted") }
      blobs.each { |blob| blob.update_columns(service_name: "now") }
      expect(audit).to be(true)
      expect(output.string).to include("not for the recovery keys: 2 (`rotate` adds the entry)")
      expect(rotate(DRY_RUN: "true")).to be(true)
      expect(output.string).to include("now: 2 to be rotated")
      expect([rotate, rotate]).to eq([true, true])
      expect(output.string).to include("now: 2 rotated").and include("now: 2 under the writing key already")
      expect(blobs.map { |blob| recovered(blob) }).to eq(%w[a b])
      output.truncate(0)
      expect(audit).to be(true)
      expect(output.string).not_to include("recovery keys")
    end
  end

  it "migration and encrypting again add one" do
    resolving("now" => entry(recovery_keys: [pair.public_to_pem],
                             commitment_policy: "require_encrypt_allow_decrypt")) do
      blob_of("moved", "a.bin", service_name: "local")
      EncryptedS3Service::Migration.new(from: :local, to: :now, output: output).run
      expect(recovered(ActiveStorage::Blob.last)).to eq("moved")
      again = blob_of("again", "a.bin", service_name: "encrypted")
      again.update_columns(service_name: "now")
      expect(rotate(REENCRYPT: "true")).to be(true)
      expect(recovered(again)).to eq("again")
    end
  end
end
