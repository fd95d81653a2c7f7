# frozen_string_literal: true

require_relative "../rails_helper"
require "encrypted_s3_service/maintenance/task_run/rows"

RSpec.describe EncryptedS3Service::TaskRun::Rows do
  let(:blob) { ActiveStorage::Blob.create_and_upload!(io: StringIO.new("a text"), filename: "a.txt") }

  # SQLite has no deadlocks and no serializable transactions that fail.
  it "runs a transaction again that the database has rolled back, until it gives up" do
    row = ActiveStorage::Blob.where(id: blob.id)
    attempts = 0
    result = described_class.locked(row) do |current|
      raise ActiveRecord::Deadlocked, "in favour of another" if (attempts += 1) < 3

      current.key
    end
    expect([result, attempts]).to eq([blob.key, 3])

    failing = lambda do
      described_class.locked(row) do
        attempts += 1
        raise ActiveRecord::SerializationFailure, "again"
      end
    end
    expect { failing.call }.to raise_error(ActiveRecord::SerializationFailure, "again")
    expect(attempts).to eq(13)
  end

  it "runs the statements for an old file again" do
    keys = EncryptedS3Service::Migration::FormerKeys
    keys.prepare
    keys.add(blob)
    former = EncryptedS3Service::Migration::FormerKey
    id = former.find_by!(key: blob.key).id
    blob.destroy
    rolled_back = 0
    allow(former).to receive(:where).and_wrap_original do |where, *conditions|
      raise ActiveRecord::SerializationFailure, "again" if (rolled_back += 1).odd?

      where.call(*conditions)
    end
    expect(keys.claim_purged(id)).to be(true)
    keys.forget(blob.key, [blob.service_name])
    expect([former.exists?(id: id), rolled_back]).to eq([false, 4])
  end
end
