# frozen_string_literal: true

require "open3"
require "rbconfig"
require_relative "../active_storage_helper"
require_relative "../support/fault_proxy"
require_relative "../support/segment_map"
require_relative "../support/task_helpers"
require "encrypted_s3_service/maintenance/indexing/command"

RSpec.describe "encrypted_s3_service:index", :active_storage do
  include TaskHelpers

  before { forget_all_files }

  let(:output) { StringIO.new }
  let(:limit) { 1.megabyte }
  # Files stored before there were maps.
  let(:former) { { "service" => "EncryptedS3", **entry, "segment_index" => false } }

  def entry(**overrides)
    TestStore.settings(memory_limit: limit, **overrides).transform_keys(&:to_s)
  end

  def with_services(**others, &)
    entries = { "former" => former, "large" => { "service" => "EncryptedS3", **entry } }
    resolving({ **entries, **others.transform_keys(&:to_s) }, &)
  end

  # @return [Array<ActiveStorage::Blob>] rows of the service "large" whose files have no maps
  def files(*sizes, service: "large")
    sizes.each_with_index.map do |size, number|
      blob = blob_of(random_bytes(size, number), "#{number}.bin", service_name: "former")
      blob.tap { |row| row.update_columns(service_name: service) }
    end
  end

  def index(environment = {})
    EncryptedS3Service::Indexing::Command.new(environment, output: output).run
  end

  def map_of(blob) = stored("#{blob.key}.segments").last

  def expect_right_maps(*blobs)
    blobs.each { |blob| expect(map_of(blob)).to be_bytes(SegmentMap.of(*stored(blob.key), TestStore::KEY)) }
  end

  def indexed?(blob) = server.list(bucket, prefix: blob.key).include?("#{blob.key}.segments")

  it "stores the maps of large files without a map, and of no others" do
    with_services do
      large = files(limit + 1, 3.megabytes)
      small = files(limit, 100)
      expect(index).to be(true)
      expect_right_maps(*large)
      expect(small.map { |blob| indexed?(blob) }).to eq([false, false])
      expect(output.string).to include("large: 2 indexed\n")
    end
  end

  it "indexes objects of Amazon's client" do
    require_relative "../support/aws_clients"
    with_services do
      blob, = files(2.megabytes)
      AwsClients.v2(TestStore::KEY).put_object(bucket: bucket, key: blob.key, body: random_bytes(2.megabytes, 9))
      expect(index).to be(true)
      expect_right_maps(blob)
    end
  end

  it "reads no file that has a map when it runs again" do
    with_services { files(2.megabytes, 2.megabytes).then { index } }
    FaultProxy.run(server.endpoint) do |proxy|
      with_services(large: { "service" => "EncryptedS3", **entry(endpoint: proxy.endpoint) }) do
        expect(index).to be(true)
        expect(output.string).to include("large: 2 indexed already\n")
        expect(proxy.requests.map(&:operation).tally).to eq("HeadObject" => 2, "GetObject" => 2)
        expect(proxy.requests("GetObject").map(&:range)).to all(eq([0, 95]))
      end
    end
  end

  it "continues where it was interrupted" do
    FaultProxy.run(server.endpoint) do |proxy|
      with_services(large: { "service" => "EncryptedS3", **entry(endpoint: proxy.endpoint) }) do
        blobs = files(*[2.megabytes] * 4)
        gate = proxy.hold("PutObject", skip: 2)
        thread = Thread.new { index("CONCURRENCY" => "1") }
        gate.arrived
        thread.kill.join
        gate.open
        expect(index).to be(true)
        # The request of the killed thread may still reach the store.
        expect(output.string).to include("large: 2 indexed, 2 indexed already")
          .or include("large: 1 indexed, 3 indexed already")
        expect_right_maps(*blobs)
      end
    end
  end

  it "leaves no map of a file that is purged while its map is stored" do
    FaultProxy.run(server.endpoint) do |proxy|
      with_services(large: { "service" => "EncryptedS3", **entry(endpoint: proxy.endpoint) }) do
        blob, = files(2.megabytes)
        gate = proxy.hold("PutObject")
        running = Thread.new { index("CONCURRENCY" => "1") }
        gate.arrived
        ActiveStorage::Blob.find(blob.id).purge
        gate.open
        expect(running.value).to be(true)
        expect(server.list(bucket, prefix: blob.key)).to eq([])
      end
    end
  end

  it "lists files without a map in a dry run, and reads none" do
    with_services do
      blobs = files(2.megabytes, 3.megabytes)
      expect(index("DRY_RUN" => "true")).to be(true)
      expect(output.string).to include("large: 2 to be indexed")
      expect(blobs.map { |blob| indexed?(blob) }).to eq([false, false])
    end
  end

  it "stores no map of a changed file, and reports it" do
    with_services do
      changed, whole = files(2.megabytes, 2.megabytes)
      attached(changed)
      headers, body = stored(changed.key)
      restore(changed.key, headers, body.tap { |bytes| bytes.setbyte(1_500_000, bytes.getbyte(1_500_000) ^ 4) })
      expect(index).to be(false)
      expect(indexed?(changed)).to be(false)
      expect_right_maps(whole)
      expect(output.string).to include("large: 1 indexed, 1 failed", "1 file could not be indexed:")
        .and match(/blob #{changed.id}, object #{changed.key} of large: .*TamperedError/)
    end
  end

  it "distinguishes a missing file from an unfinished upload" do
    with_services do
      missing, unfinished = files(2.megabytes, 2.megabytes)
      attached(missing)
      [missing, unfinished].each { |blob| server.delete(bucket, blob.key) }
      expect(index).to be(false)
      expect(output.string).to include("large: 1 missing, 1 skipped (upload never finished)")
    end
  end

  it "indexes only the given service, or the given files" do
    with_services(other: { "service" => "EncryptedS3", **entry }) do
      here, there = files(2.megabytes) + files(2.megabytes, service: "other")
      index("SERVICE" => "other")
      expect([here, there].map { |blob| indexed?(blob) }).to eq([false, true])
      attachment = Document.create!.tap { |document| document.file.attach(here) }
      index("ATTACHMENT" => "Document#file")
      expect(attachment.file.blob).to eq(here)
      expect_right_maps(here, there)
    end
  end

  it "skips services with `segment_index: false`" do
    with_services do
      blob, = files(2.megabytes, service: "former")
      expect(index).to be(true)
      expect(output.string).to include("former: 1 skipped (`segment_index` is false)")
      expect(indexed?(blob)).to be(false)
    end
  end

  it "keeps to a rate" do
    with_services do
      files(*[1.5.megabytes.to_i] * 4)
      began = Process.clock_gettime(Process::CLOCK_MONOTONIC)
      index("RATE" => "4")
      expect(Process.clock_gettime(Process::CLOCK_MONOTONIC) - began).to be > 0.7
    end
  end

  it "refuses wrong arguments" do
    [{ "DRY_RUN" => "yes" }, { "SERVICE" => "none" }, { "SERVICE" => "local" }, { "CONCURRENCY" => "0" },
     { "RATE" => "-1" }, { "SCOPE" => "none" }, { "SERVICE" => "" }, { "ATTACHMENT" => " " }].each do |wrong|
      expect { index(wrong) }.to raise_error(EncryptedS3Service::ConfigurationError)
    end
  end

  it "is a task" do
    library = File.expand_path("../../lib", __dir__)
    output, status = Open3.capture2e({ "SERVICE" => "encrypted" }, RbConfig.ruby, "-rbundler/setup", "-I", library,
                                     "-S", "rake", "encrypted_s3_service:index",
                                     chdir: File.expand_path("../dummy", __dir__))
    expect(status).to be_success, output
    expect(output).to include("encrypted: no large files")
  end

  describe "with other operations" do
    it "creates a map in each service of a mirror" do
      other_key = OpenSSL::Digest.digest("SHA256", "elsewhere")
      server.create_bucket("elsewhere-maps")
      entries = { "one" => { "service" => "EncryptedS3", **entry },
                  "two" => { "service" => "EncryptedS3", **entry(bucket: "elsewhere-maps", encryption_key: other_key) },
                  "both" => { "service" => "Mirror", "primary" => "one", "mirrors" => ["two"] } }
      mirror = ActiveStorage::Service.configure("both", entries)
      mirror.upload("mirrored/a", StringIO.new(data = random_bytes(2.megabytes)), checksum: md5(data))
      mirror.mirror("mirrored/a", checksum: md5(data))
      { bucket => TestStore::KEY, "elsewhere-maps" => other_key }.each do |place, wrapping_key|
        object = server.get(place, "mirrored/a").last(2)
        expect(server.get(place, "mirrored/a.segments").last).to be_bytes(SegmentMap.of(*object, wrapping_key))
      end
      mirror.delete("mirrored/a")
      expect(server.list("elsewhere-maps") + server.list(bucket, prefix: "mirrored/")).to eq([])
    end

    it "migrates maps: stores one with the new file and deletes the old one with the old file" do
      server.create_bucket("moved-maps")
      target = { "service" => "EncryptedS3", **entry(bucket: "moved-maps") }
      with_services(target: target) do
        blob, = files(2.megabytes)
        index
        expect(indexed?(blob)).to be(true)
        result = EncryptedS3Service::Migration.new(from: :large, to: :target, delete: true, output: output).run
        expect(result).to have_attributes(moved: 1, removed: 1, failures: [])
        expect(server.list(bucket, prefix: blob.key)).to eq([])
        expect(server.list("moved-maps")).to match_array([blob.key, "#{blob.key}.segments"])
        expect(server.get("moved-maps", "#{blob.key}.segments").last)
          .to be_bytes(SegmentMap.of(*server.get("moved-maps", blob.key).last(2), TestStore::KEY))
      end
    end

    it "is not counted by an audit: objects are, maps are not" do
      with_services do
        files(2.megabytes, 2.megabytes)
        index
        audit = EncryptedS3Service::Rotation::Audit.new("large").run
        expect([audit.formats, audit.unencrypted, audit.missing]).to eq([{ "v2" => 2 }, [], []])
      end
    end

    it "has its map deleted when a file is purged" do
      with_services do
        blob, = files(2.megabytes)
        index
        blob.purge
        expect(server.list(bucket, prefix: blob.key)).to eq([])
      end
    end

    it "announces an upload whose map is not stored to the application" do
      FaultProxy.run(server.endpoint) do |proxy|
        with_services(large: { "service" => "EncryptedS3", **entry(endpoint: proxy.endpoint, retry_limit: 0) }) do
          proxy.fault("PutObject", skip: 1, status: 500)
          seen = []
          ActiveSupport::Notifications.subscribed(->(*, payload) { seen << payload }, /\Aindex_failed/) do
            blob_of(random_bytes(2.megabytes), "a.bin", service_name: "large")
          end
          expect(seen).to match([include(key: ActiveStorage::Blob.last.key, error: include("500"))])
        end
      end
    end
  end
end
