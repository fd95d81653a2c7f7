# frozen_string_literal: true

require_relative "files"
require "encrypted_s3_service/maintenance/indexing"
require "encrypted_s3_service/maintenance/migration"
require "encrypted_s3_service/maintenance/rotation"

module Kills
  # The work of a process that is killed, with its own services and bucket.
  class Workload
    BUCKET = "kills"
    LATER_KEY = "the key that follows the other one"[0, 32]
    SMALL = 0
    LARGE = 1
    PARTS = 2

    # @return [Hash{String => Hash}] entries of storage.yml
    def self.entries
      entry = { service: "EncryptedS3", **TestStore.settings(bucket: BUCKET), memory_limit: 1 << 20,
                http_idle_timeout: 1, upload: { multipart_threshold: 5 << 20, part_size: 5 << 20 } }
      later = { **entry, encryption_key: LATER_KEY, encryption_key_id: "later", decryption_keys: [TestStore::KEY] }
      { "kills" => entry, "kills_later" => later,
        "kills_v3" => { **later, commitment_policy: "require_encrypt_allow_decrypt" } }
    end

    # @return [String] for the report
    def name = self.class.name[/\w+\z/].gsub(/(?<=[a-z])(?=[A-Z])/, " ").downcase

    # Stores the files for the next round.
    def prepare; end

    # The work during which the process is killed.
    # @param output [#puts] gets a line `"done KEY"` for each file that was reported as stored
    def run(output); end

    # Completes the interrupted work.
    # @return [Array<String>] the inconsistencies found
    def finish = []

    # @param reported [Array<String>] keys of the files that were reported as stored
    # @return [Array<String>, nil] keys of files that must exist; nil for all
    def needed(_reported) = nil

    # @return [Boolean] whether an object may have no row yet. The next run continues with it
    def objects_before_rows? = false

    private

    def rows = ActiveStorage::Blob.all

    def failures(run) = run.failures.map { |failure| "the second run fails: #{failure}" }
  end

  # Uploads by the application. The row is inserted first, so it may have no object.
  class Uploads < Workload
    def needed(reported) = reported

    def run(output)
      (0..).each do |turn|
        name = Files.name(turn)
        blob = ActiveStorage::Blob.create_and_upload!(io: StringIO.new(Files.content(name)), filename: name,
                                                      service_name: "kills", identify: false)
        output.puts("done #{blob.key}")
      end
    end
  end

  # Uploads by a browser.
  class DirectUploads < Workload
    def needed(reported) = reported

    def run(output)
      (0..).each do |turn|
        data = Files.content(name = Files.name(turn))
        row = Files.columns(name, "kills")
        blob = ActiveStorage::Blob.create_before_direct_upload!(**row.except(:content_type), content_type: "a/b")
        status, = Rails.application.call(request_for(blob, data))
        raise "the application answered #{status}" unless status == 204

        output.puts("done #{blob.key}")
      end
    end

    private

    def request_for(blob, data)
      url = ActiveStorage::Current.set(url_options: { protocol: "http://", host: "www.example.com" }) do
        blob.service_url_for_direct_upload(expires_in: 60)
      end
      Rack::MockRequest.env_for(url, method: "PUT", input: data, "CONTENT_TYPE" => "a/b")
    end
  end

  # Key rotation.
  class Rotations < Workload
    def prepare = Files.create(([SMALL] * 28) + [LARGE, PARTS], "kills_later", stored_in: "kills")

    def run(_output) = rotate

    def finish
      problems = failures(rotate)
      again = rotate
      problems << "a second rotation finds something to do: #{again.outcomes}" unless again.outcomes.keys == [:current]
      problems
    end

    private

    def rotate = EncryptedS3Service::Rotation.new("kills_later").run
  end

  # Rotation with REENCRYPT, from V2 to V3.
  class Reencryption < Rotations
    def prepare = Files.create(([SMALL] * 13) + [LARGE, PARTS], "kills_v3", stored_in: "kills")

    private

    def rotate = EncryptedS3Service::Rotation.new("kills_v3", reencrypt: true).run
  end

  # Segment maps of files that have none.
  class Indexing < Workload
    def prepare
      Files.create(([LARGE] * 10) + [PARTS], "kills")
      rows.pluck(:key).each { |key| TestStore.server.delete(BUCKET, "#{key}.segments") }
    end

    def run(_output) = index

    def finish
      problems = index.run_failures.of(:failed, :missing).map { |failure| "the second run fails: #{failure}" }
      missing = rows.pluck(:key).map { |key| "#{key}.segments" } - TestStore.server.list(BUCKET)
      problems + missing.map { |key| "#{key} is missing" }
    end

    private

    def index = EncryptedS3Service::Indexing.new("kills").tap(&:run_all)
  end

  # Migration from a disk, with DELETE.
  class Migrations < Workload
    def prepare = Files.create(([SMALL] * 13) + [LARGE, PARTS], from)

    def run(_output) = migrate

    def finish
      problems = failures(migrate)
      again = migrate
      problems << "a second migration finds something to do: #{again}" unless [again.moved, again.removed] == [0, 0]
      names = rows.distinct.pluck(:service_name)
      problems << "rows name #{names}" unless names == [to]
      problems << "former keys are left" if EncryptedS3Service::Migration::FormerKey.exists?
      problems
    end

    # A copy is stored before its row is changed.
    def objects_before_rows? = true

    private

    def from = "local"

    def to = "kills"

    def migrate = EncryptedS3Service::Migration.new(from: from, to: to, delete: true).run
  end

  # Migration within one bucket, where every file gets a new key.
  class MigrationsInOneBucket < Migrations
    private

    def from = "kills"

    def to = "kills_v3"
  end
end
