# frozen_string_literal: true

require_relative "../rails_helper"
require_relative "../support/custody"
require_relative "../support/task_helpers"

RSpec.describe EncryptedS3Service::TenantKeys, "of which a custodian keeps the keys" do
  include Custody
  include TaskHelpers

  let(:transit_keys) { { "1" => bao.transit_key, "2" => bao.transit_key } }
  # The column of the application's database for each tenant.
  let(:references) { transit_keys.transform_values { |name| reference_to(name) } }

  def configure(sources, custodian: nil, **settings)
    Rails.configuration.encrypted_s3_service.tenant_keys = sources
    Rails.configuration.encrypted_s3_service.key_custodian = custodian
    Rails.configuration.encrypted_s3_service.key_custody_ttl = settings[:ttl]
    EncryptedS3Service.instance_variable_set(:@resolved_services, nil)
  end

  before do
    configure({ encrypted: references },
              custodian: EncryptedS3Service::OpenBao.new(address: bao.address, token: OpenBaoServer::ROOT))
  end

  after { configure(nil) }

  def store(tenant, text = "of tenant #{tenant}")
    name = EncryptedS3Service.tenant_service(:encrypted, tenant)
    ActiveStorage::Blob.create_and_upload!(io: StringIO.new(text), filename: "a.txt", service_name: name.to_s)
  end

  def decryptions = transit_keys.values.map { |name| bao.decryptions(name) }

  it "encrypts each tenant's files under the tenant's own key" do
    blobs = [1, 2].map { |tenant| store(tenant) }
    expect(blobs.map(&:download)).to eq(["of tenant 1", "of tenant 2"])
    ids = blobs.map { |blob| JSON.parse(stored(blob.key).first.fetch("x-amz-meta-x-amz-matdesc"))["key_id"] }
    expect(ids).to eq(references.values.map { |reference| reference.split("#").last })
  end

  it "requests the key of each tenant once per time to live, with requests of many threads" do
    blobs = [1, 2].map { |tenant| store(tenant) }
    EncryptedS3Service.forget_keys
    before = decryptions
    Array.new(20) { |at| Thread.new { blobs[at % 2].download } }.each(&:join)
    expect(decryptions.zip(before).map { |now, past| now - past }).to eq([1, 1])
  end

  it "makes the files of a deleted transit key unreadable, and no others" do
    blobs = [1, 2].map { |tenant| store(tenant) }
    bao.destroy(transit_keys["1"])
    EncryptedS3Service.forget_keys
    expect { blobs[0].download }.to raise_error(EncryptedS3Service::KeyDestroyedError, /permanently unreadable/)
    expect(blobs[1].download).to eq("of tenant 2")
    blobs[0].purge
    expect(blobs.map { |blob| server.head(bucket, blob.key).first }).to eq([404, 200])
  end

  describe "tasks over all services" do
    let(:output) { StringIO.new }

    before do
      require "encrypted_s3_service/maintenance/rotation/command"
      require "encrypted_s3_service/maintenance/indexing/command"
      forget_all_files
    end

    def run(command, name = :run, **variables)
      command.new({ "SERVICE" => variables[:service] }.compact, output: output).public_send(name)
    end

    it "report a tenant whose key the custodian has destroyed once, not for each file, and process the others" do
      store(1)
      store(2)
      large = store(1, random_bytes(EncryptedS3Service::Configuration::SMALLEST_MEMORY_LIMIT + 1))
      bao.destroy(transit_keys["1"])
      EncryptedS3Service.forget_keys
      expect(run(EncryptedS3Service::Rotation::Command, :rotate)).to be(false)
      expect(run(EncryptedS3Service::Indexing::Command)).to be(false)
      expect(output.string.scan(/^encrypted@1: (.*)/).flatten)
        .to match([/\AFAILED: .*permanently unreadable/, /\AFAILED: .*permanently unreadable/])
      expect(output.string).not_to include("could not be")
      expect(output.string).to match(/^encrypted@2: 1 under the writing key already/)
      expect { run(EncryptedS3Service::Rotation::Command, :rotate, service: large.service_name) }
        .to raise_error(EncryptedS3Service::KeyDestroyedError, /permanently unreadable/)
    end

    it "fail for each file while the custodian cannot be reached" do
      store(1)
      configure({ encrypted: references },
                custodian: Custody::Recording.new { raise EncryptedS3Service::CustodianError, "away" })
      EncryptedS3Service.forget_keys
      expect(run(EncryptedS3Service::Rotation::Command, :rotate)).to be(false)
      expect(output.string).to include("encrypted@1: 1 failed").and include("away")
    end

    it "count the objects of a destroyed key without asking the custodian" do
      store(1)
      configure({ encrypted: references }, custodian: asked = Custody::Recording.new { raise "asked" })
      EncryptedS3Service.forget_keys
      expect(run(EncryptedS3Service::Rotation::Command, :audit)).to be(true)
      expect(output.string).to match(/^encrypted@1: 1 encrypted object, 1 under the writing key/)
      expect(asked.asked).to be_empty
    end
  end

  it "answers 410 when the key is destroyed, and 503 while the custodian cannot be reached" do
    blob = store(1)
    session = ActionDispatch::Integration::Session.new(Rails.application)
    address = ActiveStorage::Current.set(url_options: { host: "www.example.com" }) { blob.url(disposition: :inline) }
    bao.destroy(transit_keys["1"])
    EncryptedS3Service.forget_keys
    session.get(address)
    expect(session.response.status).to eq(410)
    away = Custody::Recording.new { raise EncryptedS3Service::CustodianError, "away" }
    configure({ encrypted: references }, custodian: away)
    EncryptedS3Service.forget_keys
    session.get(address)
    expect(session.response.status).to eq(503)
  end

  it "refuses invalid settings of the application" do
    settings = Rails.configuration.encrypted_s3_service
    expect do
      settings.key_custodian = "OpenBao"
    end.to raise_error(EncryptedS3Service::ConfigurationError, /responds to `unwrap`/)
    expect { settings.key_custody_ttl = 0 }.to raise_error(EncryptedS3Service::ConfigurationError, /key_custody_ttl/)
    expect(settings.key_custody_ttl).to eq(5.minutes)
  end

  it "refuses references from a resolver, whose data may come from tenants" do
    Rails.configuration.encrypted_s3_service.service_resolver = lambda do |name|
      name == "own" && { service: "EncryptedS3", bucket: "b", encryption_key: references["1"] }
    end
    EncryptedS3Service.instance_variable_set(:@resolved_services, nil)
    expect do
      ActiveStorage::Blob.services.fetch("own")
    end.to raise_error(EncryptedS3Service::ConfigurationError, /trusted_resolver/)
    expect(decryptions).to eq([0, 0])
  ensure
    Rails.configuration.encrypted_s3_service.service_resolver = nil
  end
end
