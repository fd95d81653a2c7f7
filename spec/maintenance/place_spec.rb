# frozen_string_literal: true

require_relative "../active_storage_helper"
require_relative "../support/aws_clients"
require_relative "../support/task_helpers"
require "encrypted_s3_service/maintenance/migration"
require "encrypted_s3_service/maintenance/rotation/command"

# How the tasks handle the entry that binds an object to its key.
RSpec.describe "Tasks and the place of objects", :active_storage do
  include TaskHelpers

  before { forget_all_files }

  let(:output) { StringIO.new }

  def service(name = :encrypted) = ActiveStorage::Blob.services.fetch(name)

  def entry(**) = { service: "EncryptedS3", **TestStore.settings, ** }

  # The bucket of the dummy application, with entries required.
  def strict = new_client(place_binding: "require")

  # As stored before there were entries.
  def unbound_blobs(texts)
    resolving("before" => entry(place_binding: "off"), "strict" => entry(place_binding: "require"),
              "now" => entry(place_binding: "verify")) do
      blobs = texts.map { |text| blob_of(text, "a.bin", service_name: "before") }
      yield(blobs, ->(name) { blobs.each { |blob| blob.update_columns(service_name: name) } })
    end
  end

  def rotate(**variables)
    EncryptedS3Service::Rotation::Command.new(variables.transform_keys(&:to_s), output: output).rotate
  end

  def audit = EncryptedS3Service::Rotation::Command.new({}, output: output).audit

  it "rotate adds an entry to every object without one, and then has nothing to do" do
    unbound_blobs(%w[a b]) do |blobs, move|
      move.call("now")
      expect(rotate(DRY_RUN: "true")).to be(true)
      expect(output.string).to include("now: 2 to be rotated")
      expect([rotate, rotate]).to eq([true, true])
      expect(output.string).to include("now: 2 rotated").and include("now: 2 under the writing key already")
      move.call("strict")
      expect(blobs.map { |blob| blob.reload.download }).to eq(%w[a b])
    end
  end

  it "rotate refuses objects without an entry if entries are required, and says what to do" do
    unbound_blobs(%w[a]) do |_blobs, move|
      move.call("strict")
      expect([rotate(DRY_RUN: "true"), rotate]).to eq([false, false])
      expect(output.string).to include("strict: 1 failed").and include("set `place_binding: verify`")
    end
  end

  it "audit counts the objects without an entry" do
    unbound_blobs(%w[a b c]) do |blobs, move|
      move.call("now")
      service("now").client.rotate(blobs.first.key)
      expect(audit).to be(true)
      expect(output.string).to include("not bound to their keys: 2 (")
      rotate
      output.truncate(0)
      expect(audit).to be(true)
      expect(output.string).not_to include("not bound")
    end
  end

  it "encrypting again adds an entry" do
    unbound_blobs(%w[a]) do |blobs, move|
      resolving("v3" => entry(commitment_policy: "require_encrypt_allow_decrypt"),
                "strict" => entry(place_binding: "require")) do
        move.call("v3")
        expect(rotate(REENCRYPT: "true")).to be(true)
        move.call("strict")
        expect(blobs.first.reload.download).to eq("a")
      end
    end
  end

  it "migration adds an entry" do
    blob_of("a", "a.bin", service_name: "local")
    EncryptedS3Service::Migration.new(from: :local, to: :encrypted, output: output).run
    expect(strict.download(ActiveStorage::Blob.last.key)).to eq("a")
  end

  it "a blob is refused when another object has replaced it, and every part of a mirror is bound" do
    server.create_bucket("#{bucket}-elsewhere")
    blobs = %w[a b].map { |text| blob_of(text, "a.bin", service_name: "mirrored_elsewhere") }
    blobs.each { |blob| blob.service.mirror(blob.key, checksum: blob.checksum) }
    AwsClients.plain.copy_object(bucket: bucket, copy_source: "#{bucket}/#{blobs[0].key}", key: blobs[1].key)
    [-> { blobs[1].download }, -> { blobs[1].open { nil } }, -> { blobs[1].download_chunk(0..0) }].each do |call|
      expect(&call).to raise_error(ActiveStorage::IntegrityError, /was not written under this key/)
    end
    expect(service(:elsewhere).client.envelope(blobs[1].key).bound).to be(true)
    expect(service(:elsewhere).download(blobs[1].key)).to eq("b")
  end
end
