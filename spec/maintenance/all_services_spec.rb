# frozen_string_literal: true

require_relative "../active_storage_helper"
require_relative "../support/quirky_stores"
require_relative "../support/task_helpers"
require "encrypted_s3_service/maintenance/rotation/command"
require "encrypted_s3_service/maintenance/unreadable_files"

# Cost and output of the tasks with many services, and with stores that misbehave.
RSpec.describe EncryptedS3Service::Rotation, :active_storage do
  include TaskHelpers

  before { forget_all_files }

  let(:output) { StringIO.new }

  def rotated_entry(**settings)
    { service: "EncryptedS3", **TestStore.settings, encryption_key: "the key that follows the other one"[0, 32],
      encryption_key_id: "2026", decryption_keys: [TestStore::KEY], **settings }
  end

  def command(**variables) = described_class::Command.new(variables.transform_keys(&:to_s), output: output)

  # @return [Array<String>] what the block asks the database
  def queries(&)
    asked = []
    noting = ->(*, payload) { asked << payload[:sql] unless payload[:name] == "SCHEMA" }
    ActiveSupport::Notifications.subscribed(noting, "sql.active_record", &)
    asked
  end

  describe "with a thousand files of many tenants" do
    def with_tenants(count)
      settings = Rails.configuration.encrypted_s3_service
      settings.tenant_keys = { encrypted: ->(id) { OpenSSL::Digest.digest("SHA256", id) unless id == "0" } }
      EncryptedS3Service.instance_variable_set(:@resolved_services, nil)
      rows = Array.new(1000) do |number|
        { key: "none-#{number}-#{SecureRandom.hex(8)}", filename: "a", service_name: "encrypted@#{number % count}",
          byte_size: 2, checksum: md5("x"), metadata: "{}", created_at: Time.current }
      end
      ActiveStorage::Blob.insert_all!(rows)
      yield
    ensure
      settings.tenant_keys = nil
      EncryptedS3Service.instance_variable_set(:@resolved_services, nil)
    end

    # Reading rows by batches, not one of them by its id.
    def passes(asked)
      asked.grep(/\ASELECT "active_storage_blobs"\.\* .*LIMIT/).grep_v(/"id" = \?/)
    end

    [2, 200].each do |tenants|
      it "processes each file once, in batches: #{tenants} tenants" do
        with_tenants(tenants) do
          asked = queries { command.audit }
          expect(passes(asked).size).to be_between(2, 3)
          expect(asked.grep(/DISTINCT|GROUP BY/)).to eq([])
          expect(asked.grep(/COUNT/).size).to eq(1)
        end
      end

      it "requests unreadable files once: #{tenants} tenants" do
        with_tenants(tenants) do
          files = EncryptedS3Service::UnreadableFiles.new
          asked = queries { @lines = files.lines }
          expect(asked.size).to eq(1)
          expect(@lines.map(&:to_h))
            .to eq([{ service_name: "encrypted@0", count: 1000 / tenants, bytes: 2000 / tenants }])
          expect(files.blobs.count).to eq(1000 / tenants)
        end
      end
    end

    it "looks up each service once in a batch" do
      with_tenants(50) do
        asked = 0
        counting = Rails.configuration.encrypted_s3_service.tenant_keys[:encrypted]
        Rails.configuration.encrypted_s3_service.tenant_keys = { encrypted: lambda { |id|
          asked += 1
          counting.call(id)
        } }
        EncryptedS3Service.instance_variable_set(:@resolved_services, nil)
        command.rotate
        expect(asked).to be <= 100
      end
    end
  end

  describe "failures" do
    def missing_blobs(count, service_name: "rotated")
      rows = Array.new(count) do |number|
        { key: "gone-#{number}-#{SecureRandom.hex(8)}", filename: "a", service_name: service_name, byte_size: 2,
          checksum: md5("x"), metadata: "{}", created_at: Time.current }
      end
      ActiveStorage::Blob.insert_all!(rows)
      attachments = ActiveStorage::Blob.ids.map do |id|
        { name: "file", record_type: "Document", record_id: 0, blob_id: id, created_at: Time.current }
      end
      ActiveStorage::Attachment.insert_all!(attachments)
    end

    around { |example| Dir.mktmpdir { |folder| (@folder = folder) && example.run } }

    let(:path) { File.join(@folder, "failures.txt") }

    it "are limited to a thousand in memory and in the list, and complete in a file" do
      missing_blobs(1100)
      expect(command(SERVICE: "rotated", FAILURES: path, CONCURRENCY: "16").rotate).to be(false)
      expect(output.string).to include("\n1100 of 1100 objects could not be rotated and were not changed:\n")
        .and include("  and 100 more. See #{path}.")
      expect(output.string.scan(/^  blob /).size).to eq(1000)
      expect(output.string.scan(/^FAILED blob /).size).to eq(100)
      expect(output.string).to include("\nFurther failures are counted but not shown here.\n")
      lines = File.readlines(path, chomp: true)
      expect(lines.map { |line| line.split("\t").first.to_i }).to match_array(ActiveStorage::Blob.ids)
      expect(lines).to all(match(/\A\d+\tmissing\tblob \d+, object gone-\S+ of rotated: EncryptedS3Service::NotFound/))
      expect(File.stat(path).mode & 0o777).to eq(0o600)
    end

    it "are retried by a run that is given the file, which it may overwrite" do
      missing_blobs(2)
      command(FAILURES: path).rotate
      blob_of("data", "a.txt", service_name: "rotated")
      output.truncate(0)
      client = ActiveStorage::Blob.services.fetch(:rotated).client
      ActiveStorage::Blob.order(:id).limit(1).each { |blob| client.upload(blob.key, StringIO.new("x")) }
      expect(command(RETRY: path, FAILURES: path).rotate).to be(false)
      expect(output.string).to include("rotated: 1 under the writing key already, 1 missing")
      expect(File.readlines(path).size).to eq(1)
    end

    it "of a migration are listed and retried in the same way" do
      missing_blobs(2, service_name: "local")
      migration = lambda do |**variables|
        environment = { FROM: "local", TO: "encrypted", **variables }.transform_keys(&:to_s)
        EncryptedS3Service::Migration::Command.new(environment, output: output).run
      end
      require "encrypted_s3_service/maintenance/migration/command"
      expect(migration.call(FAILURES: path)).to be(false)
      expect(File.readlines(path).size).to eq(2)
      ActiveStorage::Blob.find_each { |blob| blob.service.upload(blob.key, StringIO.new("x")) }
      ActiveStorage::Blob.update_all(byte_size: 1)
      other = blob_of("data", "a.txt", service_name: "local")
      expect(migration.call(RETRY: path)).to be(true)
      expect(ActiveStorage::Blob.where(service_name: "local").ids).to eq([other.id])
    end

    it "require a file that can be written and read" do
      { FAILURES: /FAILURES: cannot write the file/, RETRY: /RETRY: cannot read the file/ }.each do |name, message|
        expect { command(name => File.join(@folder, "none/failures.txt")).rotate }
          .to raise_error(EncryptedS3Service::ConfigurationError, message)
      end
    end

    it "cannot be retried from a file of another kind" do
      File.binwrite(path, "\xFF\xFE1\n")
      expect { command(RETRY: path).rotate }
        .to raise_error(EncryptedS3Service::ConfigurationError, /RETRY: .* is not a file that FAILURES has written/)
    end

    it "stop the run with the first one that is not in the file because the disk is full",
       if: File.exist?("/dev/full") do
      missing_blobs(3)
      expect { command(FAILURES: "/dev/full", CONCURRENCY: "1").rotate }
        .to raise_error(EncryptedS3Service::FileError, %r{FAILURES: cannot write the file: No space.*/dev/full.*blob})
    end

    it "are retried by queries with the ids of one batch each, however many there are" do
      missing_blobs(1200)
      ids = ActiveStorage::Blob.ids
      File.write(path, ids.map { |id| "#{id}\tfailed\tblob #{id}\n" }.join)
      asked = queries { command(RETRY: path, CONCURRENCY: "16").audit }
      expect(output.string).to include("\n1200 objects missing:\n")
      expect(asked.map { |sql| sql[/IN \(.*?\)/].to_s.count(",") + 1 }.max).to eq(500)
    end

    it "show no control characters of keys at a terminal" do
      missing_blobs(1)
      ActiveStorage::Blob.update_all(key: "gone\e[2J\r")
      command(FAILURES: path).audit
      expect(output.string.delete("\n")).to match(/\A[[:print:]]+\z/)
      expect(File.read(path).delete("\t\n")).to match(/\A[[:print:]]+\z/)
    end
  end

  describe "a store that answers 200 to a copy and changes nothing" do
    def behind(store, **settings)
      store.run(server.endpoint) do |proxy|
        resolving("proxied" => rotated_entry(endpoint: proxy.endpoint, **settings)) { yield proxy }
      end
    end

    def old_blobs(count)
      Array.new(count) do
        blob_of("data", "a.bin", service_name: "encrypted").tap { |blob| blob.update_columns(service_name: "proxied") }
      end
    end

    it "stops the run at its first object, with an error that says to keep the old key" do
      blobs = old_blobs(20)
      behind(CopyIgnoringStore) do |proxy|
        expect { command(CONCURRENCY: "1").rotate }
          .to raise_error(EncryptedS3Service::NotRotatedError, /Do not remove the old key/)
        expect(proxy.requests.count { |request| request.headers.key?("x-amz-copy-source") }).to eq(1)
      end
      expect(blobs.map { |blob| stored_plaintext(blob.key) }.uniq).to eq(["data"])
      expect(output.string).not_to include("rotated:")
    end

    it "is noticed later too, with VERIFY=true" do
      # Two copies are made before it changes its mind.
      store = Class.new(FaultProxy) do
        def forward(request)
          return super unless request.headers.key?("x-amz-copy-source")

          @copies = @copies.to_i + 1
          @copies <= 2 ? super : answer(status: 200, answer: "<CopyObjectResult/>")
        end
      end
      old_blobs(4)
      behind(store) do
        expect { command(CONCURRENCY: "1", VERIFY: "true").rotate }.to raise_error(EncryptedS3Service::NotRotatedError)
      end
    end

    # The requests for each object, in the order of the objects.
    def heads(proxy) = proxy.requests("HeadObject").map(&:target).tally.values

    it "is checked at the first object of a run, and at every object with VERIFY=true" do
      [[{}, [3, 2, 2, 2]], [{ VERIFY: "true" }, [3, 3, 3, 3]]].each do |variables, expected|
        forget_all_files
        old_blobs(4)
        behind(FaultProxy) do |proxy|
          expect(command(CONCURRENCY: "1", **variables).rotate).to be(true)
          expect(heads(proxy)).to eq(expected)
        end
      end
    end

    it "is also detected when an object is encrypted again" do
      store = Class.new(FaultProxy) do
        def forward(request)
          request.verb == "PUT" ? [%(HTTP/1.1 200 OK\r\netag: "0"\r\ncontent-length: 0\r\n\r\n), ""] : super
        end
      end
      old_blobs(1)
      behind(store, commitment_policy: "require_encrypt_allow_decrypt") do
        expect { command(REENCRYPT: "true").rotate }
          .to raise_error(EncryptedS3Service::NotRotatedError, /still returns its old envelope/)
      end
    end
  end
end
