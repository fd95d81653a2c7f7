# frozen_string_literal: true

require_relative "../active_storage_helper"
require_relative "../support/task_helpers"
require "encrypted_s3_service/maintenance/destruction_report"
require "encrypted_s3_service/maintenance/migration"

# An application can hide rows by a default scope, for example with a soft delete. It may show them again.
RSpec.describe "The tasks and rows that a default scope hides", :active_storage do
  include TaskHelpers

  around do |example|
    ActiveStorage::Blob.send(:default_scope) { where.not(filename: "hidden").order(:created_at) }
    example.run
  ensure
    ActiveStorage::Blob.default_scopes = []
    forget_all_files
  end

  before { forget_all_files }

  let!(:blob) { blob_of("data", "a.txt", service_name: "local") }

  def hide(blob) = blob.update_columns(filename: "hidden")

  def found = ActiveStorage::Blob.unscoped.find(blob.id)

  def migrate(**) = EncryptedS3Service::Migration.new(from: :local, to: :encrypted, **).run

  it "move their files" do
    hide(blob)
    expect(migrate(delete: true)).to have_attributes(moved: 1, removed: 1, failures: [])
    expect(found).to have_attributes(service_name: "encrypted", download: "data")
  end

  it "note old files where the scope is one of all of Active Storage's models" do
    ActiveStorage::Record.send(:default_scope) { where(hidden: false) }
    expect(migrate(delete: true)).to have_attributes(moved: 1, removed: 1, failures: [])
  ensure
    ActiveStorage::Record.default_scopes = []
  end

  it "keep the copy of a file whose row is hidden while others are moved" do
    last = blob_of("last", "b.txt", service_name: "local")
    hiding = ->(*, payload) { hide(blob) if payload[:key] == last.key }
    ActiveSupport::Notifications.subscribed(hiding, "service_upload.active_storage") { migrate(concurrency: 1) }
    expect(found).to have_attributes(service_name: "encrypted", download: "data")
  end

  it "delete no old file whose copy has become unreadable" do
    migrate
    hide(blob.reload)
    server.put(bucket, blob.key, "damaged")
    expect(migrate(delete: true)).to have_attributes(removed: 0, failed: 1)
    expect(ActiveStorage::Blob.services.fetch(:local).download(blob.key)).to eq("data")
  end

  it "rotate their keys, and audit them" do
    migrate
    hide(blob.reload)
    found.update_columns(service_name: "rotated")
    expect(EncryptedS3Service::Rotation.new(:rotated).run.outcomes).to eq(rotated: 1)
    expect(EncryptedS3Service::Rotation::Audit.new(:rotated).run.key_ids).to eq("2026" => 1)
  end

  it "delete no object of a hidden row when it is encrypted again" do
    migrate
    hide(blob.reload)
    found.update_columns(service_name: "rotated")
    EncryptedS3Service::Rotation::Reencryption.new(ActiveStorage::Blob.services.fetch(:rotated), found).run
    expect(found.download).to eq("data")
  end

  it "count them among unreadable files" do
    settings = Rails.configuration.encrypted_s3_service
    settings.tenant_keys = { encrypted: ->(_id) {} }
    EncryptedS3Service.instance_variable_set(:@resolved_services, nil)
    migrate
    hide(blob.reload)
    found.update_columns(service_name: "encrypted@7")
    expect(EncryptedS3Service::UnreadableFiles.new.lines).to match([have_attributes(count: 1, bytes: 4)])
  ensure
    settings.tenant_keys = nil
    EncryptedS3Service.instance_variable_set(:@resolved_services, nil)
  end
end
