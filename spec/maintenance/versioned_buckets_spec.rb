# frozen_string_literal: true

require_relative "../active_storage_helper"
require "encrypted_s3_service/maintenance/migration/command"
require "encrypted_s3_service/maintenance/rotation/command"
require_relative "../support/fault_proxy"
require_relative "../support/task_helpers"

# A bucket with versioning keeps what was replaced or deleted. No task may say more than is true of it.
RSpec.describe "Tasks in a bucket that keeps versions", :active_storage do
  include TaskHelpers

  around { |example| Dir.mktmpdir { |folder| Dir.chdir(folder) { example.run } } }

  # With the store's entry at another address in some examples.
  let(:place) { { service: "EncryptedS3", **TestStore.settings(bucket: versioned) } }
  let(:versioned) { "versions-#{SecureRandom.hex(4)}" }
  let(:tenants_keys) { { "1" => new_key } }
  let(:output) { StringIO.new }
  let(:pair) { OpenSSL::PKey.generate_key("ED25519") }
  let(:settings) { Rails.configuration.encrypted_s3_service }

  before do
    forget_all_files
    server.create_bucket(versioned)
    server.keep_versions(versioned)
    entries = Rails.configuration.active_storage.service_configurations
    @entries_before = entries
    Rails.configuration.active_storage.service_configurations = entries.to_h.merge("versioned" => place)
    settings.tenant_keys = { versioned: tenants_keys }
    settings.report_signing_key = pair.private_to_pem
    EncryptedS3Service.instance_variable_set(:@resolved_services, nil)
  end

  after do
    Rails.configuration.active_storage.service_configurations = @entries_before
    settings.tenant_keys = settings.report_signing_key = nil
    EncryptedS3Service.instance_variable_set(:@resolved_services, nil)
  end

  def new_key = SecureRandom.bytes(32)

  def store(text, name = EncryptedS3Service.tenant_service(:versioned, 1))
    blob_of(text, "a.txt", service_name: name.to_s)
  end

  def destroy_key
    tenants_keys.clear
    EncryptedS3Service.forget_service("versioned@1")
  end

  def report
    proven = EncryptedS3Service::UnreadableFiles::Command.new({ "REPORT" => "report" }, output: output).run
    [proven, JSON.parse(File.read("report.json"))]
  end

  describe "the destruction report" do
    it "proves it if all versions were under destroyed keys, and lists them" do
      blob = store("text")
      client = blob.service.client
      client.upload(blob.key, StringIO.new("the same again"))
      destroy_key
      proven, json = report
      expect(proven).to be(true), output.string
      older = json["files"][0]["older_versions"]
      expect(older.map { |version| version.slice("version", "key_id", "result") })
        .to eq([{ "version" => server.versions(versioned, blob.key).last,
                  "key_id" => client.configuration.encryption_key.id, "result" => "unreadable" }])
      expect(File.read("report.html")).to include("1 unreadable")
    end

    it "does not prove it if an older version opens under the key of the service" do
      blob = store("text")
      under_tenants_key = blob.service.client
      new_client(bucket: versioned).upload(blob.key, StringIO.new("before the tenant had a key"))
      under_tenants_key.upload(blob.key, StringIO.new("text"))
      destroy_key
      proven, json = report
      expect(proven).to be(false)
      expect(output.string).to include("NOT PROVEN")
      expect(json["verdict"]).to eq("not proven")
      file = json["files"][0]
      expect(file).to include("result" => "opened", "key_id" => under_tenants_key.configuration.encryption_key.id)
      expect(file["older_versions"].map { |version| version["result"] }).to eq(%w[opened unreadable])
      expect(file["older_versions"][0]["tries"].last).to include("with" => "versioned", "message" => "opened")
      expect(File.read("report.html")).to include("NOT PROVEN", "1 opened, 1 unreadable")
    end

    it "does not prove it if recovery keys open the object, or an older version of it" do
      owner = OpenSSL::PKey::RSA.new(2048)
      place[:recovery_keys] = [owner.public_to_pem]
      recoverable = store("text")
      place.delete(:recovery_keys)
      EncryptedS3Service.forget_service("versioned@1")
      plain, both = [store("without"), recoverable].each do |blob|
        blob.service.client.upload(blob.key, StringIO.new("a second version"))
      end
      destroy_key
      proven, json = report
      expect(proven).to be(false)
      files = json["files"].index_by { |file| file["blob_id"] }
      expect(files.values_at(plain.id, both.id).map { |file| file["result"] }).to eq(%w[unreadable recoverable])
      expect(files[both.id]["older_versions"][0]["recovery_keys"]).to match([/\A\h{16}\z/])
    end

    it "checks the versions of a deleted object too" do
      blob = store("text")
      new_client(bucket: versioned).upload(blob.key, StringIO.new("text"))
      server.delete(versioned, blob.key)
      destroy_key
      expect(report.first).to be(false)
      expect(JSON.parse(File.read("report.json"))["files"][0]["result"]).to eq("opened")
    end

    it "requests the metadata of each object once, and the state of the bucket once" do
      FaultProxy.run(server.endpoint) do |proxy|
        place[:endpoint] = proxy.endpoint
        3.times { store("text") }
        destroy_key
        requests = lambda do
          of_bucket = proxy.requests.select { |request| request.target.end_with?("?versioning") }
          [proxy.requests("HeadObject"), of_bucket].map(&:size)
        end
        before = requests.call
        expect(report.first).to be(true)
        expect(requests.call.zip(before).map { |after, first| after - first }).to eq([3, 1])
      end
    end

    it "does not prove it if the versions cannot be listed, and names the missing permissions" do
      FaultProxy.run(server.endpoint) do |proxy|
        place[:endpoint] = proxy.endpoint
        store("text")
        destroy_key
        proxy.fault("GetObject", only: ->(request) { request.target.match?(/[?&]versions\b/) }, status: 403,
                                 answer: "<Error><Code>AccessDenied</Code></Error>")
        proven, json = report
        expect(proven).to be(false)
        expect(json["files"][0]["older_versions"][0]["tries"][0]["message"]).to match(/s3:ListBucketVersions/)
      end
    end
  end

  it "rotate leaves older versions under the former key, and reports them only if there are any" do
    later = place.merge(encryption_key: new_key, encryption_key_id: "2026", decryption_keys: [TestStore::KEY])
    resolving("before" => place, "after" => later) do
      store("text", "before").update!(service_name: "after")
      blob_of("text", "a.txt", service_name: "encrypted").update!(service_name: "rotated")
      2.times { EncryptedS3Service::Rotation::Command.new({}, output: output).rotate }
      expect(output.string).to include("after: 1 rotated", "rotated: 1 rotated")
      expect(output.string.scan(/^(\S+): the bucket keeps older versions of these files, under their former keys/))
        .to eq([["after"]])
    end
  end

  describe "migrate" do
    # Rails' own service, whose files are plaintext.
    let(:amazon) { { service: "S3", **place.except(:service, :encryption_key, :encryption_key_id) } }

    def migrate(from, to, **variables)
      variables = variables.transform_keys(&:to_s)
      EncryptedS3Service::Migration::Command.new({ "FROM" => from, "TO" => to, **variables }, output: output).run
    end

    %w[plain before].each do |from|
      it "reports that deleted files are still among the older versions (#{from})" do
        resolving("plain" => amazon, "before" => place) do
          blob = store("text", from)
          expect(migrate(from, "encrypted", DELETE: "true", CONFIRM: "1")).to be(true), output.string
          expect(server.get(versioned, blob.key).first).to eq(404)
          expect(output.string).to match(/^#{from}: the bucket keeps older versions, and the deleted files are still/)
          expect(server.versions(versioned, blob.key).size).to eq(1)
        end
      end
    end

    it "does not mention versions if there are none" do
      blob_of("text", "a.txt", service_name: "encrypted")
      expect(migrate("encrypted", "local", DELETE: "true", CONFIRM: "1")).to be(true), output.string
      expect(output.string).not_to include("older versions")
    end
  end

  describe "an old file that a migration has left" do
    it "prevents proof of a destruction until it is deleted" do
      resolving("before" => place) do
        former = store("text", "before").key
        to = EncryptedS3Service.tenant_service(:versioned, 1).to_s
        expect(EncryptedS3Service::Migration.new(from: "before", to: to).run.moved).to eq(1)
        destroy_key
        proven, json = report
        expect(proven).to be(false)
        expect(json["files"].map { |file| file.slice("service", "key", "result") })
          .to include({ "service" => "before", "key" => former, "result" => "opened" })
        expect(json["services"].map { |service| service["service"] }).to eq(["before", "versioned@1"])
      end
    end
  end
end
