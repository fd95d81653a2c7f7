# frozen_string_literal: true

require_relative "../active_storage_helper"
require_relative "../support/task_helpers"
require "encrypted_s3_service/maintenance/migration"

# `DELETE=true` deletes only the old files that the gem itself has noted, with any contents of the rows.
RSpec.describe EncryptedS3Service::Migration, :active_storage, type: :request do
  include TaskHelpers

  before { forget_all_files }

  let(:entry) { "encrypted_s3_service_former_keys" }

  # Within one bucket, so that files get new keys.
  def migrate(from: :encrypted, to: :published, delete: true, blobs: ActiveStorage::Blob.all, **)
    described_class.new(from: from, to: to, delete: delete, blobs: blobs, **).run
  end

  def only(*blobs) = ActiveStorage::Blob.where(id: blobs.map(&:id))

  def there(*keys) = server.list(bucket) & keys

  def picture(text)
    blob_of(text, "picture.png", content_type: "image/png", identify: false).tap do |blob|
      server.put(bucket, "variants/#{blob.key}/small", "of #{text}")
    end
  end

  def moved_key(name, key) = described_class::Endpoints.moved_key(name, key)

  describe "metadata that a client writes in a direct upload" do
    # A direct upload through Rails' own endpoint. Its row gets all metadata, as before the gem checked announcements.
    def direct_upload(metadata)
      post rails_direct_uploads_path, as: :json, params: {
        blob: { filename: "a.png", byte_size: 1, checksum: md5("x"), content_type: "image/png", metadata: metadata }
      }
      ActiveStorage::Blob.find(response.parsed_body.fetch("id")).tap do |blob|
        blob.service.upload(blob.key, StringIO.new("x"), checksum: blob.checksum)
        blob.update_columns(metadata: metadata)
      end
    end

    let(:victim) { picture("of the victim") }

    it "deletes no file of others, nor its variants, and is listed" do
      server.put(bucket, "backups/latest.sql.gz", "a dump")
      keys = [victim.key, "variants/#{victim.key}/small", "backups/latest.sql.gz"]
      forged = direct_upload(entry => [victim.key, "backups/latest.sql.gz"])
      old = forged.key
      result = migrate(blobs: only(forged))
      expect(result).to have_attributes(moved: 1, removed: 1, failures: [], doubtful: [forged.id])
      expect(there(*keys, old)).to match_array(keys)
      expect(victim.reload.download).to eq("of the victim")
    end

    it "deletes nothing either if both services have separate places" do
      forged = direct_upload(entry => [victim.key])
      expect(migrate(to: :local, blobs: only(forged))).to have_attributes(moved: 1, removed: 1)
      expect(there(victim.key, "variants/#{victim.key}/small").size).to eq(2)
    end

    it "does not become valid by the blob's real former key, nor by that of another blob" do
      migrate(blobs: only(victim), delete: false)
      old = EncryptedS3Service::Migration::FormerKeys.of(victim.id).dig(0, 0)
      forged = direct_upload({})
      forged.update_columns(metadata: { entry => [victim.reload.key, old, forged.key] })
      mine = forged.key
      migrate(blobs: only(forged))
      expect(there(victim.key, old, mine)).to contain_exactly(victim.key, old)
    end

    it "deletes nothing of another tenant in a run for one tenant's files" do
      settings = Rails.configuration.encrypted_s3_service
      settings.tenant_keys = { encrypted: ->(id) { OpenSSL::Digest.digest("SHA256", id) } }
      settings.migration_scopes = { blob: ->(id) { ActiveStorage::Blob.where(id: id) } }
      EncryptedS3Service.instance_variable_set(:@resolved_services, nil)
      other = blob_of("of tenant 7", "a.txt", service_name: "encrypted@7")
      forged = direct_upload(entry => [other.key])
      environment = { "FROM" => "encrypted", "TO" => "encrypted@8", "SCOPE" => "blob:#{forged.id}", "DELETE" => "true",
                      "CONFIRM" => "1" }
      require "encrypted_s3_service/maintenance/migration/command"
      output = StringIO.new
      expect(described_class::Command.new(environment, output: output).run).to be(true)
      expect(output.string).to include("metadata of 1 file cannot be verified.").and include("Blobs: #{forged.id}\n")
      expect(other.reload.download).to eq("of tenant 7")
      expect(forged.reload).to have_attributes(service_name: "encrypted@8", download: "x")
    ensure
      settings.tenant_keys = settings.migration_scopes = nil
      EncryptedS3Service.instance_variable_set(:@resolved_services, nil)
    end

    it "can have any content" do
      blobs = [{ entry => "text" }, { entry => { "a" => "b" } }, { entry => [[1], nil, 2] }, { entry => ["x"] * 1000 }]
              .map { |metadata| direct_upload(metadata) }
      expect(migrate).to have_attributes(moved: blobs.size, removed: blobs.size, failures: [])
    end
  end

  describe "records of the gem" do
    let!(:blob) { picture("a picture") }
    let!(:old) { blob.key }

    def files = there(old, "variants/#{old}/small")

    it "survive an analysis that loaded the row before" do
      stale = ActiveStorage::Blob.find(blob.id)
      migrate(delete: false)
      stale.update!(metadata: stale.metadata.merge("width" => 1, "analyzed" => true))
      expect(migrate).to have_attributes(removed: 1, failures: [])
      expect(files).to eq([])
      expect(blob.reload.download).to eq("a picture")
    end

    it "survive deletion of the metadata, and a new secret" do
      migrate(delete: false)
      blob.reload.update_columns(metadata: {})
      allow(ActiveStorage).to receive(:verifier).and_return(ActiveSupport::MessageVerifier.new("another secret"))
      expect(migrate).to have_attributes(removed: 1)
      expect(files).to eq([])
    end

    it "survive the blob: the old file of a purged blob is deleted, but not by a run for other blobs" do
      migrate(delete: false)
      other = blob_of("other", "b.txt", service_name: "published")
      blob.reload.purge
      expect(migrate(blobs: only(other))).to have_attributes(removed: 0, failures: [])
      expect(files.size).to eq(2)
      expect(migrate).to have_attributes(removed: 1, failures: [], plan: have_attributes(count: 1, bytes: 9))
      expect(files).to eq([])
      expect(EncryptedS3Service::Migration::FormerKey.count).to eq(0)
    end

    it "survive a blob that was moved to another place, where the old file has the same key" do
      disk = ActiveStorage::Blob.services.fetch(:local)
      local = blob_of("a text", "a.txt", service_name: "local")
      migrate(from: :local, to: :encrypted, delete: false)
      local.reload.purge
      expect(disk.exist?(local.key)).to be(true)
      expect(migrate(from: :local, to: :encrypted)).to have_attributes(removed: 1, failures: [])
      expect(disk.exist?(local.key)).to be(false)
      expect(described_class::FormerKey.count).to eq(0)
    end

    it "are removed if the old file was deleted by other means" do
      local = blob_of("a text", "a.txt", service_name: "local")
      migrate(from: :local, to: :encrypted, delete: false)
      purged = blob_of("purged", "a.txt", service_name: "local")
      migrate(from: :local, to: :encrypted, delete: false, blobs: only(purged))
      purged.reload.purge
      [local, purged].each { |one| ActiveStorage::Blob.services.fetch(:local).delete(one.key) }
      expect(described_class::FormerKey.pluck(:key)).to contain_exactly(local.key, purged.key)
      expect(migrate(from: :local, to: :encrypted)).to have_attributes(removed: 0, failures: [])
      expect(described_class::FormerKey.count).to eq(0)
    end

    it "are removed if a killed run had already deleted the file" do
      local = blob_of("a text", "a.txt", service_name: "local")
      keys = described_class::FormerKeys
      keys.prepare
      migrate(from: :local, to: :encrypted, delete: false, blobs: only(local))
      # The state in which that run stopped.
      keys.claim(only(local), local.key, "local")
      ActiveStorage::Blob.services.fetch(:local).delete(local.key)
      expect(migrate(from: :local, to: :encrypted, blobs: only(local))).to have_attributes(removed: 0, failures: [])
      expect(keys.of(local.id)).to eq([])
    end

    it "do not apply to a file that another row names, in any service" do
      migrate(delete: false)
      ActiveStorage::Blob.create!(key: old, filename: "b", byte_size: 9, checksum: blob.checksum,
                                  service_name: "rotated")
      expect(migrate).to have_attributes(removed: 0, failures: [])
      blob.reload.purge
      expect(migrate).to have_attributes(removed: 0, failures: [])
      expect(files.size).to eq(2)
    end

    it "keep variants of files whose keys an application chose below it, with any characters in them" do
      chosen = ActiveStorage::Blob.create_and_upload!(io: StringIO.new("x"), key: "a_b%c#{SecureRandom.hex(4)}",
                                                      filename: "b.png", content_type: "image/png", identify: false)
      below = "variants/#{chosen.key}/mine"
      chosen.service.upload(below, StringIO.new("mine"))
      ActiveStorage::Blob.create!(key: below, filename: "b", byte_size: 4, checksum: md5("mine"),
                                  service_name: "elsewhere")
      migrate(blobs: only(chosen))
      expect(ActiveStorage::Blob.services.fetch(:encrypted).exist?(below)).to be(true)
    end

    it "keep variants of files whose keys an application chose below it" do
      server.put(bucket, "variants/#{old}/mine", "mine")
      ActiveStorage::Blob.create!(key: "variants/#{old}/mine", filename: "b", byte_size: 4,
                                  checksum: md5("mine"), service_name: "elsewhere")
      expect(migrate).to have_attributes(removed: 1, failures: [])
      expect(there(old, "variants/#{old}/mine")).to eq(["variants/#{old}/mine"])
    end
  end

  describe "entries of earlier versions" do
    # The entries in a row after three moves.
    def moved_before(blob)
      keys = %w[published encrypted published].reduce([blob.key]) { |all, name| all << moved_key(name, all.last) }
      keys[1..].each { |key| blob.service.upload(key, StringIO.new(blob.download)) }
      blob.update_columns(key: keys.last, service_name: "published", metadata: { entry => keys[0, 3], "width" => 1 })
      keys
    end

    it "are used if each key leads to the next and the last to the blob" do
      blob = blob_of("data", "a.txt")
      keys = moved_before(blob)
      expect(migrate).to have_attributes(removed: 3, failures: [], doubtful: [])
      expect(there(*keys)).to eq([keys.last])
      expect(blob.reload).to have_attributes(download: "data", metadata: { "width" => 1 })
    end

    it "are used after a further move too, and only as far as they are consistent" do
      victim = blob_of("victim", "v.txt")
      blob = blob_of("data", "a.txt")
      keys = moved_before(blob)
      blob.update_columns(metadata: { entry => [victim.key, *keys[0, 3]] })
      expect(migrate(from: :published, to: :encrypted)).to have_attributes(moved: 1, doubtful: [blob.id])
      expect(there(victim.key, *keys)).to eq([victim.key])
      expect(blob.reload.download).to eq("data")
    end
  end

  describe "files whose keys the application chose" do
    def named(key, text, service_name)
      ActiveStorage::Blob.create_and_upload!(io: StringIO.new(text), key: key, filename: "a.txt",
                                             service_name: service_name)
    end

    def local = ActiveStorage::Blob.services.fetch(:local)

    let(:key) { "logos/#{SecureRandom.hex(4)}" }

    it "are moved and deleted like others" do
      blob = named(key, "a logo", "local")
      expect(migrate(from: :local, to: :encrypted)).to have_attributes(moved: 1, removed: 1, failures: [])
      expect(blob.reload).to have_attributes(service_name: "encrypted", key: key, download: "a logo")
      expect(local.exist?(key)).to be(false)
    end

    it "are named if an encrypted service cannot have them" do
      named(chosen = "#{key}.segments", "a logo", "local")
      expect(migrate(from: :local, to: :encrypted).failures)
        .to match([have_attributes(reason: /under the key "#{chosen}": keys that end in .segments/)])
    end

    it "are not deleted if another object has the same key" do
      blob = named(key, "a logo", "encrypted")
      local.upload(key, StringIO.new("of another program"))
      expect(migrate(from: :local, to: :encrypted)).to have_attributes(removed: 0, failed: 1)
      expect([local.download(key), blob.reload.download]).to eq(["of another program", "a logo"])
    end

    it "do not overwrite another object of the same key in the new service" do
      blob = named(key, "a logo", "local")
      server.put(bucket, key, "of another program")
      result = migrate(from: :local, to: :encrypted)
      expect(result).to have_attributes(moved: 0, failures: [have_attributes(reason: /already has another file/)])
      expect(stored(key).last).to eq("of another program")
      blob.update_columns(service_name: "encrypted")
      client = ActiveStorage::Blob.services.fetch(:encrypted).client
      client.upload(key, StringIO.new("a logo"))
      blob.update_columns(service_name: "local")
      expect(migrate(from: :local, to: :encrypted)).to have_attributes(moved: 1, failures: [])
    end

    describe "in a bucket that several keys share" do
      around do |example|
        entry = Rails.configuration.active_storage.service_configurations["encrypted"].to_h
        resolving("other_key" => { **entry, "encryption_key" => "k" * 32 }) { example.run }
      end

      it "are compared by the service that wrote them" do
        blob = named(key, "a logo", "other_key")
        composed = named(SecureRandom.base36(28), "two logos", "other_key")
        composed.update_columns(checksum: nil)
        migrate(from: :other_key, to: :rotated, delete: false)
        expect(migrate(from: :encrypted, to: :rotated)).to have_attributes(removed: 2, failures: [])
        expect(there(key, composed.key)).to be_empty
        expect([blob, composed].map { |one| one.reload.download }).to eq(["a logo", "two logos"])
      end

      it "do not overwrite an object that another key encrypts" do
        blob = named(key, "a logo", "local")
        ActiveStorage::Blob.services.fetch(:other_key).upload(key, StringIO.new("of another service"))
        result = migrate(from: :local, to: :encrypted)
        expect(result).to have_attributes(moved: 0, failures: [have_attributes(reason: /already has another file/)])
        expect(blob.reload.service_name).to eq("local")
      end
    end

    it "are not deleted in a service where they never were" do
      blob = named(key, "a logo", "encrypted")
      migrate(delete: false)
      blob.reload.purge
      local.upload(key, StringIO.new("of another program"))
      expect(migrate(from: :local, to: :published)).to have_attributes(removed: 0, failures: [])
      expect([local.exist?(key), there(key)]).to eq([true, [key]])
      expect(migrate).to have_attributes(removed: 1)
      expect([local.exist?(key), there(key)]).to eq([true, []])
    end
  end

  describe "the table" do
    def drop = ActiveStorage::Blob.connection.drop_table(described_class::FormerKeys::TABLE, if_exists: true)

    def table_is_forgotten = described_class::FormerKeys.instance_variable_set(:@tables, nil)

    before do
      drop
      table_is_forgotten
    end

    it "is created when it is needed" do
      blob_of("data", "a.txt", service_name: "local")
      migrate(from: :local, to: :encrypted, dry_run: true)
      expect(described_class::FormerKeys.table?).to be(false)
      expect(migrate(from: :local, to: :encrypted)).to have_attributes(moved: 1, removed: 1)
      expect(described_class::FormerKeys.table?).to be(true)
    end

    it "can be created by a migration of the application" do
      described_class.create_former_keys_table(ActiveStorage::Blob.connection)
      expect(described_class::FormerKeys.table?).to be(true)
      expect { described_class::FormerKeys.prepare }.not_to raise_error
    end

    it "is required before any file is moved, if it cannot be created" do
      blob = blob_of("data", "a.txt")
      database = ActiveStorage::Blob.connection.raw_connection
      create_table = 2
      database.authorizer = ->(action, *) { action == create_table ? 1 : 0 }
      expect { migrate }.to raise_error(EncryptedS3Service::ConfigurationError, /cannot be created.*create_former_keys/)
      expect(there(blob.key)).to eq([blob.key])
    ensure
      database.authorizer = ->(*) { 0 }
    end
  end

  describe "a deletion" do
    def local_blob(text) = blob_of(text, "a.txt", service_name: "local")

    def file?(blob) = ActiveStorage::Blob.services.fetch(:local).exist?(blob.key)

    it "sends requests to the store outside of transactions, so that no row is locked meanwhile" do
      local_blob("data")
      open = []
      noting = ->(*) { open << ActiveStorage::Blob.connection.transaction_open? }
      ActiveSupport::Notifications.subscribed(noting, "service_delete.active_storage") do
        expect(migrate(from: :local, to: :encrypted)).to have_attributes(removed: 1)
      end
      expect(open).to include(false).and all(be(false))
    end

    it "prevents a run in the other direction from naming the file" do
      blob = local_blob("data")
      migrate(from: :local, to: :encrypted, delete: false)
      back = nil
      other = lambda do |*, payload|
        next unless payload[:service] == "Disk" && payload[:key] == blob.key

        back = Thread.new { migrate(from: :encrypted, to: :local, delete: false) }.value
      end
      ActiveSupport::Notifications.subscribed(other, "service_delete.active_storage") do
        expect(migrate(from: :local, to: :encrypted)).to have_attributes(removed: 1, failures: [])
      end
      expect(back).to have_attributes(moved: 0, failures: [have_attributes(reason: /deleting an old file .* in local/)])
      expect(blob.reload).to have_attributes(service_name: "encrypted", download: "data")
    end

    it "whose run was killed prevents it for half an hour, with an error that names its service and the end" do
      blob = local_blob("data")
      described_class::FormerKeys.prepare
      described_class::FormerKeys.claim(ActiveStorage::Blob.where(id: blob.id), blob.key, "large")
      began = described_class::FormerKey.last.deleting_since
      over = (began + 30.minutes).utc.strftime("%H:%M UTC")
      expect(migrate(from: :local, to: :encrypted, delete: false).failures)
        .to contain_exactly(have_attributes(reason: /in large\. .* after #{over}/))
      described_class::FormerKey.update_all(deleting_since: began - 30.minutes)
      expect(migrate(from: :local, to: :encrypted, delete: false)).to have_attributes(moved: 1, failures: [])
    end

    it "that ends while a run in the other direction copies leaves the row at the existing file" do
      blob = local_blob("data")
      migrate(from: :local, to: :encrypted, delete: false)
      deleted = false
      # The copy in the folder was read back, and is deleted because it looks like the old file.
      other = lambda do |*, payload|
        next if deleted || payload[:service] != "Disk" || payload[:key] != blob.key

        deleted = true
        Thread.new { migrate(from: :local, to: :encrypted) }.join
      end
      back = ActiveSupport::Notifications.subscribed(other, "service_streaming_download.active_storage") do
        migrate(from: :encrypted, to: :local, delete: false)
      end
      expect([deleted, file?(blob)]).to eq([true, false])
      expect(back).to have_attributes(moved: 0, failed: 1)
      expect(blob.reload).to have_attributes(service_name: "encrypted", download: "data")
    end
  end
end
