# frozen_string_literal: true

require_relative "../active_storage_helper"
require_relative "../support/custody"
require_relative "../support/fault_proxy"
require_relative "../support/kms"
require_relative "../support/task_helpers"
require "encrypted_s3_service/maintenance/destruction_report"
require "encrypted_s3_service/maintenance/migration"

# A key of the service's entry in storage.yml that cannot be used now is no proof that it does not open a file.
RSpec.describe EncryptedS3Service::DestructionReport, :active_storage do
  include Custody
  include TaskHelpers

  let(:settings) { Rails.configuration.encrypted_s3_service }
  let(:key) { SecureRandom.bytes(32) }
  let(:tenants_keys) { { "1" => key } }
  let(:signature) { EncryptedS3Service::ReportSignature.new(OpenSSL::PKey.generate_key("ED25519").private_to_pem) }

  around do |example|
    entries = Rails.configuration.active_storage.service_configurations
    Rails.configuration.active_storage.service_configurations = entries.to_h.merge("base" => place)
    settings.tenant_keys = { base: tenants_keys }
    resolving("base" => place) { example.run }
  ensure
    Rails.configuration.active_storage.service_configurations = entries
    settings.tenant_keys = nil
  end

  before { forget_all_files }

  def destroy_key
    tenants_keys.clear
    EncryptedS3Service.forget_service("base@1")
  end

  # @return [Array] the verdict, and the results and errors of the attempts
  def report
    report = described_class.new(signature: signature).run.to_h
    [report[:verdict], report[:files].map { |file| [file[:result], *file[:tries].map { |try| try[:error] }] }]
  end

  describe "with a custodian that returns another key" do
    let(:place) { { service: "EncryptedS3", **TestStore.settings(encryption_key: "custodian:x##{"0" * 16}") } }

    it "says that the file was not tried" do
      use_custodian(Custody::Recording.new { "another key of 32 bytes in total" })
      blob_of("text", "a.txt", service_name: "base@1")
      destroy_key
      expect(report).to eq(["not proven", [["not tried", "key-destroyed", "custodian"]]])
    end
  end

  describe "with a key in AWS KMS that is disabled" do
    let(:proxy) { FaultProxy.new(URI(Kms.server.endpoint)) }
    let(:place) { { service: "EncryptedS3", **Kms.settings(Kms.create_key, kms_endpoint: proxy.endpoint).compact } }

    after { proxy.stop }

    it "says that the file was not tried" do
      blob_of("text", "a.txt", service_name: "base").update_columns(service_name: "base@1")
      destroy_key
      proxy.fault("Decrypt", status: 400, answer: '{"__type":"DisabledException","message":"disabled"}')
      expect(report).to eq(["not proven", [["not tried", "key-destroyed", "key-disabled"]]])
    end
  end

  describe "with an old file in a folder that is missing" do
    let(:place) { { service: "EncryptedS3", **TestStore.settings } }
    let(:root) { ActiveStorage::Blob.services.fetch(:local).root }

    def without_folder
      File.rename(root, "#{root}-away")
      yield
    ensure
      FileUtils.rm_rf(root)
      File.rename("#{root}-away", root)
    end

    def migrate = EncryptedS3Service::Migration.new(from: :local, to: "base@1", delete: true).run

    it "says that the file was not tried, and a migration keeps its record" do
      blobs = Array.new(2) { blob_of("text", "a.txt", service_name: "local") }
      EncryptedS3Service::Migration.new(from: :local, to: "base@1").run
      blobs.last.reload.purge
      without_folder do
        expect(migrate.failures).to match(Array.new(2) { have_attributes(reason: /folder does not exist/) })
        destroy_key
        expect(report).to match(["not proven", include(["not tried", "configuration"])])
      end
      tenants_keys["1"] = key
      EncryptedS3Service.forget_service("base@1")
      expect(migrate).to have_attributes(removed: 2, failures: [])
    end
  end
end
