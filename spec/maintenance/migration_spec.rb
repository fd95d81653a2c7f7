# frozen_string_literal: true

require_relative "../active_storage_helper"
require_relative "../support/task_helpers"
require "encrypted_s3_service/maintenance/migration"

RSpec.describe EncryptedS3Service::Migration, :active_storage, type: :request do
  include TaskHelpers

  before { forget_all_files }

  let(:output) { StringIO.new }

  def migrate(from: :local, to: :encrypted, **)
    described_class.new(from: from, to: to, output: output, **).run
  end

  def local_blob(data, filename = "a.bin", **)
    blob_of(data, filename, service_name: "local", **)
  end

  def service(name) = ActiveStorage::Blob.services.fetch(name)

  def path_of(blob) = service(:local).path_for(blob.key)

  def services = ActiveStorage::Blob.order(:id).pluck(:service_name)

  describe "the files" do
    it "are encrypted in the new service, and the old ones stay" do
      blob = local_blob(data = random_bytes(100_000))
      result = migrate
      expect(result).to have_attributes(moved: 1, bytes: 100_000, removed: 0, failures: [])
      expect(blob.reload).to have_attributes(service_name: "encrypted", download: data)
      expect(stored_plaintext(blob.key)).to be_bytes(data)
      expect(File.binread(path_of(blob))).to be_bytes(data)
    end

    it "are moved back when the services are exchanged" do
      blobs = Array.new(5) { |number| local_blob(random_bytes(1000, number)) }
      migrate(delete: true)
      expect(blobs.map { |blob| File.exist?(path_of(blob)) }).to all(be(false))
      result = migrate(from: :encrypted, to: :local, delete: true)
      expect(result).to have_attributes(moved: 5, removed: 5, failures: [])
      expect(blobs.map { |blob| File.binread(path_of(blob)) }).to eq(Array.new(5) { |n| random_bytes(1000, n) })
      expect(server.list(bucket) & blobs.map(&:key)).to eq([])
    end

    it "may be empty, large, or without a checksum" do
      empty = local_blob("")
      large = local_blob(data = random_bytes(40_000_000))
      # As Active Storage leaves a blob that was composed of others.
      composed = local_blob("one, two").tap { |blob| blob.update_columns(checksum: nil) }
      expect(migrate(delete: true)).to have_attributes(moved: 3, removed: 3, failures: [])
      expect([empty, composed].map { |blob| blob.reload.download }).to eq(["", "one, two"])
      expect(large.reload.download).to be_bytes(data)
    end

    it "are never plaintext in a named file while they are copied" do
      local_blob(random_bytes(1000))
      Dir.mktmpdir do |folder|
        allow(Dir).to receive(:tmpdir).and_return(folder)
        seen = []
        looking = ->(*) { seen << Dir.children(folder) }
        ActiveSupport::Notifications.subscribed(looking, "service_upload.active_storage") { migrate }
        # The probe's upload and the file's.
        expect(seen).to eq([[], []])
      end
    end
  end

  describe "variants and previews" do
    it "are moved with their pictures, and visitors get them as before" do
      picture = local_blob(Samples.jpeg(120, 80), "clouds.jpg")
      paper = local_blob(Samples.pdf, "will.pdf")
      representations = [picture.variant(resize_to_limit: [60, 60]), paper.preview(resize_to_limit: [60, 60])]
      bodies = representations.map do |representation|
        representation.processed
        get rails_storage_proxy_path(representation)
        response.body.b
      end
      expect(ActiveStorage::Blob.count).to eq(5)

      # Found by their parents alone.
      migrate(blobs: ActiveStorage::Blob.where(id: [picture, paper]), delete: true)
      expect(services).to eq(["encrypted"] * 5)
      expect(Dir.glob("#{service(:local).root}/**/*").select { |path| File.file?(path) && path.include?(picture.key) })
        .to eq([])

      added = objects_added do
        again = [picture.reload.variant(resize_to_limit: [60, 60]), paper.reload.preview(resize_to_limit: [60, 60])]
        again.zip(bodies) do |representation, body|
          get rails_storage_proxy_path(representation)
          expect(response).to have_http_status(:ok)
          expect(response.body.b).to be_bytes(body)
        end
      end
      expect(added).to eq([])
    end

    it "are generated again if they have no rows, and the old ones are deleted with the old picture" do
      with_setting(:track_variants, false) do
        picture = local_blob(Samples.jpeg(120, 80), "clouds.jpg")
        old = service(:local).path_for(picture.variant(resize_to_limit: [60, 60]).processed.key)
        expect(File.exist?(old)).to be(true)
        migrate(delete: true)
        expect(File.exist?(old)).to be(false)
        expect(dimensions(picture.reload.variant(resize_to_limit: [60, 60]).processed.download)).to eq([60, 40])
      end
    end

    it "are moved before their pictures, so that a relation by service still finds them" do
      picture = local_blob(Samples.jpeg(120, 80), "clouds.jpg")
      picture.variant(resize_to_limit: [60, 60]).processed
      order = []
      noting = ->(*, payload) { order << payload[:key] if payload[:service] == "EncryptedS3" }
      ActiveSupport::Notifications.subscribed(noting, "service_upload.active_storage") do
        migrate(blobs: ActiveStorage::Blob.where(service_name: "local", id: picture.id))
      end
      expect(order.last(2).last).to eq(picture.key)
      expect(services).to eq(%w[encrypted encrypted])
    end
  end

  describe "a file that cannot be moved" do
    it "stays, is reported without its content or name, and does not stop the others" do
      good, spoilt, missing = %w[good spoilt missing].map { |word| local_blob("#{word} secret", "#{word}-name.txt") }
      File.binwrite(path_of(spoilt), "spoilt Secret")
      File.unlink(path_of(attached(missing)))
      result = migrate
      expect(result.moved).to eq(1)
      expect(result.failures.map(&:blob_id)).to contain_exactly(spoilt.id, missing.id)
      expect(output.string).to match(/FAILED blob #{spoilt.id}: .*local.*checksum/)
        .and match(/FAILED blob #{missing.id}: ActiveStorage::FileNotFoundError/)
      expect(output.string).not_to match(/secret|-name/i)
      expect([good, spoilt, missing].map { |blob| blob.reload.service_name }).to eq(%w[encrypted local local])
      expect(server.list(bucket) & [spoilt.key, missing.key]).to eq([])
    end

    it "is no failure if its upload was never finished" do
      blobs = [local_blob("good"), local_blob("never came")]
      File.unlink(path_of(blobs.last))
      expect(migrate(dry_run: true)).to have_attributes(moved: 1, unfinished: 1, failures: [])
      expect(migrate).to have_attributes(moved: 1, unfinished: 1, failures: [])
      expect(blobs.map { |blob| blob.reload.service_name }).to eq(%w[encrypted local])
    end

    it "is not deleted if its copy has become unreadable" do
      blob = local_blob("only one of two")
      migrate
      headers, body = stored(blob.key)
      restore(blob.key, headers, body.tap { |bytes| bytes.setbyte(3, bytes.getbyte(3) ^ 1) })
      result = migrate(delete: true)
      expect(result).to have_attributes(removed: 0, failures: [have_attributes(blob_id: blob.id)])
      expect(File.binread(path_of(blob))).to eq("only one of two")
    end
  end

  describe "concurrent changes:" do
    # Runs the block once, while a blob is being copied.
    def during_upload(blob)
      acting = ->(*, payload) { yield if payload[:key] == blob.key }
      ActiveSupport::Notifications.subscribed(acting, "service_upload.active_storage") { return migrate }
    end

    it "a blob may be purged: nothing of it is left" do
      blob = local_blob("purged")
      result = during_upload(blob) { blob.purge if ActiveStorage::Blob.exists?(blob.id) }
      expect(result).to have_attributes(moved: 0, failures: [])
      expect(server.list(bucket)).not_to include(blob.key)
      expect(File.exist?(path_of(blob))).to be(false)
    end

    it "a blob may be purged, even if the run is then interrupted" do
      blob = local_blob("purged")
      last = local_blob("last")
      meanwhile = lambda do |*, payload|
        ActiveStorage::Blob.where(key: blob.key).delete_all if payload[:key] == blob.key
        raise NoMemoryError if payload[:key] == last.key
      end
      ActiveSupport::Notifications.subscribed(meanwhile, "service_upload.active_storage") do
        expect { migrate(concurrency: 1) }.to raise_error(NoMemoryError)
      end
      expect(server.list(bucket)).not_to include(blob.key)
    end

    it "a blob may be moved elsewhere: its row is not changed" do
      blob = local_blob("moved")
      result = during_upload(blob) { blob.update_columns(service_name: "elsewhere") }
      expect(result.moved).to eq(0)
      expect(blob.reload.service_name).to eq("elsewhere")
    end

    it "another run may be active" do
      blobs = Array.new(40) { |number| local_blob("file #{number}") }
      results = Array.new(2) do
        Thread.new { described_class.new(from: :local, to: :encrypted).run }
      end.map(&:value)
      expect(results.sum(&:moved)).to eq(40)
      expect(results.flat_map(&:failures)).to eq([])
      expect(blobs.map { |blob| blob.reload.download }).to eq(Array.new(40) { |number| "file #{number}" })
    end
  end

  describe "a dry run" do
    it "lists the files to move and the missing ones, and changes nothing" do
      blobs = Array.new(3) { local_blob("data") }
      File.unlink(path_of(attached(blobs.last)))
      added = objects_added do
        expect(migrate(dry_run: true, delete: true)).to have_attributes(moved: 2, bytes: 8, removed: 0,
                                                                        failures: [have_attributes(blob_id: Integer)])
      end
      expect(added).to eq([])
      expect(services).to eq(["local"] * 3)
      expect(output.string).to include("2 files (8 Bytes) to be moved").and include("local does not have the file")
      expect(File.exist?(path_of(blobs.first))).to be(true)
    end
  end

  describe "the services" do
    describe "that keep their files in the same place" do
      def in_bucket(*blobs) = server.list(bucket) & blobs.map { |blob| blob.is_a?(String) ? blob : blob.key }

      it "give each file a new key, and overwrite nothing" do
        blob = blob_of("data", "a.txt", metadata: { "custom" => { "a" => "b" } })
        before = stored(old = blob.key).last
        expect(migrate(from: :encrypted, to: :published)).to have_attributes(moved: 1, failures: [])
        expect(output.string).to include("encrypted and published store files in the same place")
        expect(stored(old).last).to eq(before)
        expect(blob.reload).to have_attributes(service_name: "published", download: "data")
        expect([blob.key, blob.custom_metadata]).to match([/\A[a-z0-9]{28}\z/, { "a" => "b" }])
        expect(blob.key).not_to eq(old)
      end

      it "delete old files on demand, in a later run too, and never the new ones" do
        blob = blob_of("data", "a.txt")
        old = blob.key
        migrate(from: :encrypted, to: :published)
        migrate(from: :published, to: :encrypted)
        middle = described_class::FormerKeys.of(blob.id).map(&:first)
        expect([middle.first, middle.size]).to eq([old, 2])
        expect(migrate(from: :published, to: :encrypted, delete: true)).to have_attributes(removed: 2, failures: [])
        expect(in_bucket(*middle)).to eq([])
        expect(blob.reload).to have_attributes(service_name: "encrypted", download: "data",
                                               metadata: { "identified" => true })
        expect(migrate(from: :published, to: :encrypted, delete: true)).to have_attributes(removed: 0, failures: [])
        expect(blob.reload.download).to eq("data")
      end

      it "forget the old keys of files that a killed run had deleted" do
        blob = blob_of("data", "a.txt")
        old = blob.key
        migrate(from: :encrypted, to: :published)
        service(:encrypted).delete(old)
        expect(migrate(from: :encrypted, to: :published, delete: true)).to have_attributes(removed: 0, failures: [])
        expect(blob.reload).to have_attributes(download: "data", metadata: { "identified" => true })
      end

      it "are recognized by the folder of a mirror too" do
        blob = local_blob("data")
        old = blob.key
        migrate(from: :local, to: :mirrored_from_disk, delete: true)
        expect(blob.reload).to have_attributes(service_name: "mirrored_from_disk", download: "data")
        expect(stored_plaintext(blob.key)).to eq("data")
        expect(service(:local).exist?(old)).to be(false)
      end

      it "are recognized by a test file, which is removed again, if their settings do not show it" do
        Dir.mktmpdir do |folder|
          File.symlink(service(:local).root, link = File.join(folder, "link"))
          resolving("linked" => { service: "Disk", root: link }) do
            blob = local_blob("data")
            old = blob.key
            expect(migrate(from: :local, to: :linked, delete: true)).to have_attributes(moved: 1, removed: 1)
            expect([service(:local).exist?(old), blob.reload.download]).to eq([false, "data"])
            expect(Dir.glob("#{link}/**/migration-probe*")).to eq([])
          end
        end
      end

      it "do not delete an old file that was changed, and report it" do
        blob = blob_of("data", "a.txt")
        headers, body = stored(blob.key)
        restore(blob.key, headers, body.tap { |bytes| bytes.setbyte(1, bytes.getbyte(1) ^ 1) })
        result = migrate(from: :encrypted, to: :published, delete: true)
        expect(result).to have_attributes(moved: 0, failures: [have_attributes(blob_id: blob.id)])
        expect(in_bucket(blob)).to eq([blob.key])
      end
    end

    it "may be two folders of one bucket: files keep their keys, and each folder its files" do
      settings = { service: "EncryptedS3", **TestStore.settings }
      resolving("one" => { **settings, prefix: "one/" }, "two" => { **settings, prefix: "two/" }) do
        blob = blob_of("data", "a.txt", service_name: "one")
        key = blob.key
        expect(migrate(from: :one, to: :two)).to have_attributes(moved: 1, failures: [])
        expect(blob.reload).to have_attributes(service_name: "two", key: key, download: "data")
        expect(server.list(bucket) & ["one/#{key}", "two/#{key}"]).to eq(["one/#{key}", "two/#{key}"])
        expect(migrate(from: :one, to: :two, delete: true)).to have_attributes(removed: 1, failures: [])
        expect(server.list(bucket) & ["one/#{key}", "two/#{key}"]).to eq(["two/#{key}"])
        expect(migrate(from: :two, to: :encrypted, delete: true)).to have_attributes(moved: 1, removed: 1, failures: [])
        expect([blob.reload.key, blob.download]).to eq([key, "data"])
        expect(server.list(bucket) & ["two/#{key}", key]).to eq([key])
      end
    end

    it "get no copies if the database may only be read" do
      blob = blob_of("data", "a.txt", service_name: "local")
      migrate = -> { described_class.new(from: :local, to: :encrypted).run }
      refusal = /active_storage_blobs cannot be changed \(ActiveRecord::\w+.*write access/
      ActiveRecord::Base.while_preventing_writes do
        expect(&migrate).to raise_error(EncryptedS3Service::ConfigurationError, refusal)
        expect(described_class.new(from: :local, to: :encrypted, dry_run: true).run).to have_attributes(moved: 1)
      end
      ActiveStorage::Blob.connection.execute("PRAGMA query_only = 1")
      expect(&migrate).to raise_error(EncryptedS3Service::ConfigurationError, refusal)
      expect(server.list(bucket)).not_to include(blob.key)
    ensure
      ActiveStorage::Blob.connection.execute("PRAGMA query_only = 0")
    end

    it "get no further copies when the database has become read-only" do
      stub_const("#{described_class}::BATCH", 2)
      keys = Array.new(5) { |number| blob_of("data", "#{number}.txt", service_name: "local").key }
      connection = ActiveStorage::Blob.connection
      failover = lambda do |*, payload|
        # A test file comes before the copies.
        connection.execute("PRAGMA query_only = 1") if keys.include?(payload[:key])
      end
      ActiveSupport::Notifications.subscribed(failover, "service_upload.active_storage") do
        expect { described_class.new(from: :local, to: :encrypted, concurrency: 1).run }
          .to raise_error(EncryptedS3Service::ConfigurationError, /cannot be changed/)
      end
      expect((server.list(bucket) & keys).size).to eq(2)
    ensure
      connection.execute("PRAGMA query_only = 0")
    end

    it "must exist and be different" do
      expect { migrate(to: :nowhere) }.to raise_error(EncryptedS3Service::ConfigurationError, /no service "nowhere"/)
      expect { migrate(to: "local") }.to raise_error(EncryptedS3Service::ConfigurationError, /same service, local/)
    end

    it "may be mirrors: each of their services gets the file" do
      server.create_bucket("#{bucket}-elsewhere")
      blob = blob_of("mirrored", "a.txt", service_name: "elsewhere")
      expect(migrate(from: :elsewhere, to: :mirrored)).to have_attributes(moved: 1, failures: [])
      expect(stored_plaintext(blob.key)).to eq("mirrored")
      expect(File.binread(path_of(blob))).to eq("mirrored")
    end

    it "may be a tenant's" do
      settings = Rails.configuration.encrypted_s3_service
      settings.tenant_keys = { encrypted: { "7" => key = "t" * 32 } }
      EncryptedS3Service.instance_variable_set(:@resolved_services, nil)
      mine, other = %w[mine other].map { |word| local_blob(word) }
      to = EncryptedS3Service.tenant_service(:encrypted, 7)
      expect(migrate(to: to, blobs: ActiveStorage::Blob.where(id: mine.id))).to have_attributes(moved: 1, failures: [])
      expect(stored_plaintext(mine.key, key)).to eq("mine")
      expect([mine, other].map { |blob| blob.reload.service_name }).to eq(["encrypted@7", "local"])
      migrate(from: to, to: :encrypted, delete: true)
      expect(stored_plaintext(mine.reload.key)).to eq("mine")
      migrate(from: :encrypted, to: to, delete: true)
      expect(stored_plaintext(mine.reload.key, key)).to eq("mine")
      migrate(from: to, to: :local, delete: true)
      expect(mine.reload).to have_attributes(service_name: "local", download: "mine")
    ensure
      settings.tenant_keys = nil
      EncryptedS3Service.instance_variable_set(:@resolved_services, nil)
    end
  end

  describe "progress" do
    it "is one line on a terminal, with a rate and the remaining time" do
      terminal = StringIO.new
      def terminal.tty? = true
      30.times { |number| local_blob("file #{number}" * 1000) }
      described_class.new(from: :local, to: :encrypted, output: terminal, concurrency: 1).run
      expect(terminal.string)
        .to match(%r{\r\e\[K\[=*\s*\] \d+ of 30 files, [\d.]+ KB moved, [\d.]+ .B/s, \d+ seconds? left})
      expect(terminal.string.lines.size).to eq(1)
      expect(terminal.string).to match(/30 files \([\d.]+ KB\) moved in \d+ seconds?\n\z/)
    end
  end
end
