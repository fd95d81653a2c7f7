# frozen_string_literal: true

require_relative "../rails_helper"
require_relative "../support/plain_by_default"

# The examples of docs/tenancy.md, from the settings to the bucket. (spec/docs runs each block of code by itself.)
RSpec.describe EncryptedS3Service, "as documented for tenants" do
  include_context "with an application that stores in plaintext by default"

  def configure(**values)
    values.each { |name, value| described_class.settings[name] = value }
    described_class.instance_variable_set(:@resolved_services, nil)
    yield
  ensure
    values.each_key { |name| described_class.settings[name] = nil }
    described_class.instance_variable_set(:@resolved_services, nil)
    Current.reset
  end

  def key_of(id) = OpenSSL::Digest.digest("SHA256", "key of #{id}")

  # A model as declared in the document.
  def tenant_class(&)
    stub_const("Tenant", Class.new(Organisation) do
      self.table_name = "organisations"
      class_exec(&)
    end)
  end

  it "gives each tenant a key, and destroying the key makes its files unreadable" do
    keys = {}
    firm = tenant_class do
      encrypts_files_with { |organisation| EncryptedS3Service.tenant_service(:encrypted, organisation) }
    end
    configure(tenant_keys: { encrypted: ->(id) { firm.find_by(id: id) && keys[id] } }) do
      one, two = %w[one two].map { |name| firm.create!(name: name).tap { keys[_1.id.to_s] = key_of(_1.id) } }
      blobs = [one, two].map { |tenant| Current.set(organisation: tenant) { store("of #{tenant.name}") } }
      expect(blobs.map(&:service_name)).to eq(["encrypted@#{one.id}", "encrypted@#{two.id}"])
      expect(stored_plaintext(blobs.first.key, key_of(one.id))).to eq("of one")
      keys.delete(one.id.to_s)
      described_class.forget_service("encrypted@#{one.id}")
      expect { ActiveStorage::Blob.find(blobs.first.id).download }.to raise_error(described_class::KeyDestroyedError)
      expect(ActiveStorage::Blob.find(blobs.last.id).download).to eq("of two")
      expect { Current.set(organisation: one) { store } }.to raise_error(described_class::KeyDestroyedError)
    end
  end

  it "gives each tenant a bucket of its own, from the database" do
    server.create_bucket("customer")
    entry = { service: "EncryptedS3", **TestStore.settings(bucket: "customer", encryption_key: key_of(1)) }
    firm = tenant_class { encrypts_files_with { |organisation| "bucket-of-#{organisation.id}" } }
    resolver = ->(name) { entry if firm.exists?(name[/\Abucket-of-(\d+)\z/, 1]) }
    configure(service_resolver: resolver) do
      tenant = firm.create!(name: "a firm")
      blob = tenant.with_s3_settings { store("theirs") }
      expect(blob.service_name).to eq("bucket-of-#{tenant.id}")
      _, headers, body = server.get("customer", blob.key)
      expect(EnvelopeDecryptor.decrypt(headers, body, key_of(1))).to eq("theirs")
      expect(ActiveStorage::Blob.find(blob.id).download).to eq("theirs")
    end
  end

  it "uses the first of the five choices that applies" do
    Current.organisation = customer
    described_class.with_service(:mirrored) do
      itself = Contract.new(flyer: { io: StringIO.new("x"), filename: "x", service_name: :elsewhere })
      expect(itself.flyer.blob.service_name).to eq("elsewhere")
      expect(Contract.new(flyer: { io: StringIO.new("x"), filename: "x" }).flyer.blob.service_name).to eq("local")
      expect(place).to eq("mirrored")
    end
    expect(place).to eq("encrypted")
    Current.organisation = nil
    expect(place).to eq("local")
  ensure
    Current.reset
  end

  it "switches only for the block, and returns the service in force" do
    seen = described_class.with_service(:encrypted) do
      [described_class.current_service, described_class.with_service(nil) { described_class.current_service }]
    end
    expect([seen, described_class.current_service]).to eq([[:encrypted, nil], nil])
  end
end
