# frozen_string_literal: true

require_relative "../active_storage_helper"
require_relative "../support/kms"
require_relative "../support/task_helpers"
require "encrypted_s3_service/maintenance/rotation"

# What only KMS knows about a key: the key behind an alias, and the encryption context.
RSpec.describe EncryptedS3Service::Rotation, "with keys in AWS KMS", :active_storage do
  include TaskHelpers

  before { forget_all_files }

  let(:arn) { Kms.create_key }

  def entry(key_id, **) = { service: "EncryptedS3", **Kms.settings(key_id, **).compact }

  def audited(name) = described_class::Audit.new(name).run.current

  def dry_run(name) = described_class.new(name, dry_run: true).run.outcomes

  it "notices that an alias was moved to another key" do
    resolving("by_alias" => entry(name = Kms.create_alias(arn), decryption_keys: ["kms:#{arn}"])) do
      blob = blob_of("data", "a.txt", service_name: "by_alias")
      expect(audited(:by_alias)).to eq(1)
      Kms.client.update_alias(alias_name: name, target_key_id: Kms.create_key[%r{[^/]+\z}])
      expect([audited(:by_alias), dry_run(:by_alias)]).to eq([0, { rotated: 1 }])
      expect(described_class.new(:by_alias).run.outcomes).to eq({ rotated: 1 })
      expect([audited(:by_alias), blob.download]).to eq([1, "data"])
    end
  end

  %w[forbid_encrypt_allow_decrypt require_encrypt_allow_decrypt].each do |policy|
    it "distinguishes contexts of one key, under #{policy}" do
      former = { "team" => "a" }
      settings = { kms_encryption_context: { "team" => "b" }, commitment_policy: policy,
                   decryption_keys: [{ "kms_key_id" => arn, "kms_encryption_context" => former }] }
      resolving("before" => entry(arn, kms_encryption_context: former, commitment_policy: policy),
                "after" => entry(arn, **settings)) do
        blob = blob_of("data", "a.txt", service_name: "before")
        blob.update_columns(service_name: "after")
        expect([audited(:after), dry_run(:after)]).to eq([0, { rotated: 1 }])
        expect(described_class.new(:after).run.outcomes).to eq({ rotated: 1 })
        expect([audited(:after), dry_run(:after), blob.reload.download]).to eq([1, { current: 1 }, "data"])
      end
    end
  end
end
