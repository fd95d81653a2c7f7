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
end
