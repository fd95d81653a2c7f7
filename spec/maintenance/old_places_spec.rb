# frozen_string_literal: true

require_relative "../active_storage_helper"
require_relative "../support/task_helpers"
require "encrypted_s3_service/maintenance/migration"

# Old files in several services: of files that were moved twice, in mirrors, and in stores whose buckets have one name.
RSpec.describe EncryptedS3Service::Migration, :active_storage do
  include TaskHelpers

  before do
    forget_all_files
    server.create_bucket("#{bucket}-elsewhere")
  end

  def migrate(from, to, delete: true, **) = described_class.new(from: from, to: to, delete: delete, **).run

  def service(name) = ActiveStorage::Blob.services.fetch(name)

  def local_blob(text = "a text", **) = blob_of(text, "a.txt", service_name: "local", **)

  def noted = described_class::FormerKey.order(:id).pluck(:key, :service_name)

  describe "a file that was moved twice" do
    let!(:blob) { local_blob }
    let!(:key) { blob.key }

    it "has an old file under the same key in each service, and each is deleted" do
      migrate(:local, :encrypted, delete: false)
      migrate(:encrypted, :rotated, delete: false)
      expect(migrate(:local, :rotated)).to have_attributes(removed: 1, failures: [])
      expect([service(:local), service(:encrypted)].map { |old| old.exist?(key) }).to eq([false, true])
      expect(migrate(:encrypted, :rotated)).to have_attributes(removed: 1, failures: [])
      expect([service(:encrypted).exist?(key), noted]).to eq([false, []])
      expect(blob.reload).to have_attributes(service_name: "rotated", download: "a text")
    end

    it "leaves no old file either if it was purged" do
      migrate(:local, :encrypted, delete: false)
      migrate(:encrypted, :elsewhere, delete: false)
      blob.reload.purge
      expect(migrate(:encrypted, :elsewhere)).to have_attributes(removed: 1, failures: [])
      expect(noted).to eq([[key, "local"]])
      expect(migrate(:local, :elsewhere)).to have_attributes(removed: 1, failures: [])
      expect([service(:local).exist?(key), noted]).to eq([false, []])
    end

    it "is noted in a table of an earlier version, too" do
      keys = described_class::FormerKeys
      connection = ActiveStorage::Blob.connection
      connection.remove_index(keys::TABLE, %i[key service_name])
      connection.add_index(keys::TABLE, :key, unique: true, name: "index_encrypted_s3_former_keys_on_key")
      migrate(:local, :encrypted, delete: false)
      migrate(:encrypted, :elsewhere, delete: false)
      expect(noted).to eq([[key, "local"], [key, "encrypted"]])
    end
  end

  it "of a mirror are deleted in each of its services, even if an earlier deletion failed at one of them" do
    blobs = [local_blob("one"), local_blob("two")]
    blobs.first.update_columns(checksum: nil)
    migrate(:local, :mirrored)
    keys = blobs.map { |blob| blob.reload.key }
    migrate(:mirrored, :elsewhere, delete: false)
    blobs.last.reload.purge
    # The state in which a deletion stopped.
    keys.each { |key| service(:encrypted).delete(key) }
    expect(migrate(:mirrored, :elsewhere)).to have_attributes(removed: 2, failures: [])
    expect(keys.map { |key| service(:local).exist?(key) }).to eq([false, false])
    expect(noted).to eq([])
  end

  it "of a mirror stay noted until they are deleted in all of its services" do
    blobs = [blob_of("one", "a.txt"), blob_of("two", "b.txt")]
    migrate(:encrypted, :mirrored_from_disk)
    keys = blobs.map { |blob| blob.reload.key }
    migrate(:mirrored_from_disk, :elsewhere, delete: false)
    blobs.last.reload.purge
    expect(migrate(:local, :elsewhere)).to have_attributes(removed: 2, failures: [])
    expect(keys.map { |key| service(:encrypted).exist?(key) }).to eq([true, true])
    expect(migrate(:mirrored_from_disk, :elsewhere)).to have_attributes(removed: 2, failures: [])
    expect(keys.map { |key| service(:encrypted).exist?(key) }).to eq([false, false])
  end

  it "stay noted while another store has them, even if its bucket has the same name" do
    blobs = [local_blob("one"), local_blob("two")]
    migrate(:local, :encrypted)
    entry = Rails.configuration.active_storage.service_configurations["encrypted"].to_h
    resolving("other_store" => { **entry, "endpoint" => "http://127.0.0.1:9", "retry_limit" => 0 }) do
      # As if the files had been moved from there.
      blobs.each { |blob| described_class::FormerKeys.add(blob.tap { |old| old.service_name = "other_store" }) }
      blobs.last.reload.purge
      migrate(:encrypted, :elsewhere)
    end
    expect(noted).to eq(blobs.map { |blob| [blob.key, "other_store"] })
  end

  describe "after random moves and purges" do
    names = %w[local encrypted rotated elsewhere mirrored doubled mirrored_from_disk]

    def stored_anywhere
      on_disk = Dir["#{service(:local).root}/**/*"].select { |path| File.file?(path) }
      on_disk.map! { |path| File.basename(path) }
      [bucket, "#{bucket}-elsewhere"].flat_map { |name| server.list(name) } + on_disk
    end

    # Moves all files from service to service, and notes the keys that they have.
    # @return [String] the name of the last one
    def wander(names, random, keys)
      (1..8).reduce("local") do |at, step|
        keys.merge(ActiveStorage::Blob.pluck(:key))
        to = (names - [at]).sample(random: random)
        expect(migrate(at, to, delete: random.rand < 0.3)).to have_attributes(failures: [])
        keys.merge(ActiveStorage::Blob.pluck(:key))
        ActiveStorage::Blob.all.sample(random: random).purge if [3, 6].include?(step)
        to
      end
    end

    [1, 2].each do |seed|
      it "are all deleted, and no file is lost (#{seed})" do
        texts = Array.new(4) { |number| local_blob("file #{number}") }.to_h { |blob| [blob.id, blob.download] }
        # The folder also has files of other processes.
        at = wander(names, Random.new(seed), keys = Set.new)
        (names - [at]).each { |from| expect(migrate(from, at)).to have_attributes(failures: []) }
        expect(ActiveStorage::Blob.all.to_h { |blob| [blob.id, blob.download] })
          .to eq(texts.slice(*ActiveStorage::Blob.ids)).and have_attributes(size: 2)
        expect(stored_anywhere & (keys.to_a - ActiveStorage::Blob.pluck(:key))).to eq([])
        expect(noted).to eq([])
      end
    end
  end

  it "of pictures are deleted without a search in all rows for each" do
    3.times { |number| local_blob("picture #{number}", content_type: "image/png", identify: false) }
    searches = []
    noting = ->(*, payload) { searches << payload[:sql] if payload[:sql].include?("LIKE") }
    ActiveSupport::Notifications.subscribed(noting, "sql.active_record") do
      expect(migrate(:local, :encrypted)).to have_attributes(removed: 3, failures: [])
    end
    expect(searches.size).to eq(1)
  end

  it "are deleted together with their untracked variants, even if an earlier deletion failed at the variants" do
    picture = local_blob("a picture", content_type: "image/png", identify: false)
    service(:local).upload(variant = "variants/#{picture.key}/small", StringIO.new("small"))
    allow(service(:local)).to receive(:delete_prefixed).and_raise(Errno::EACCES)
    expect(migrate(:local, :encrypted)).to have_attributes(removed: 0, failed: 1)
    allow(service(:local)).to receive(:delete_prefixed).and_call_original
    expect(migrate(:local, :encrypted)).to have_attributes(removed: 1, failures: [])
    expect([picture.key, variant].map { |key| service(:local).exist?(key) }).to eq([false, false])
  end
end
