# frozen_string_literal: true

require_relative "../rails_helper"
require_relative "../support/plain_by_default"

RSpec.describe EncryptedS3Service::Tenant do
  include_context "with an application that stores in plaintext by default"

  after { Current.reset }

  # A model with its own declaration.
  def tenant(attributes = {}, &)
    firm = Class.new(Organisation) do
      def self.name = "Firm"
      def storage_service = name
    end
    firm.class_exec(&)
    firm.new(attributes)
  end

  it "sends only the files of an encrypted customer to the encrypted service" do
    blobs = [customer, other_customer].map { |organisation| organisation.with_s3_settings { store("theirs") } }
    expect(blobs.map(&:service_name)).to eq(%w[encrypted local])
    expect(encrypted_in_bucket?(blobs.first, "theirs")).to be(true)
    expect(place).to eq("local")
  end

  it "sets the current tenant for the block and restores it" do
    Current.organisation = other_customer
    seen = customer.with_s3_settings do
      [Current.organisation, other_customer.with_s3_settings { Current.organisation }]
    end
    expect(seen).to eq([customer, other_customer])
    expect(Current.organisation).to eq(other_customer)
    expect { customer.with_s3_settings { raise "no" } }.to raise_error("no")
    expect([Current.organisation, place]).to eq([other_customer, "local"])
  end

  it "uses the default for a customer without encryption, inside an encrypted customer's block too" do
    customer.with_s3_settings do
      expect(other_customer.with_s3_settings { place }).to eq("local")
      expect(place).to eq("encrypted")
    end
  end

  it "uses the customer's settings as they are when a file is stored" do
    firms = [other_customer, Organisation.create!(name: "loaded twice")]
    places = firms.map do |firm|
      firm.with_s3_settings do
        Current.organisation = Organisation.find(firm.id) if firm.name == "loaded twice"
        before = place
        Current.organisation.update!(encrypted: true)
        [before, place]
      end
    end
    nobody = tenant { encrypts_files_with :encrypted, if: :encrypted?, current: false }
    places << nobody.with_s3_settings { [place, nobody.tap { |firm| firm.encrypted = true } && place] }
    expect(places).to all(eq(%w[local encrypted]))
  end

  it "accepts a service of the tenant's own, by a method or by a block" do
    by_method = tenant(name: "elsewhere") { encrypts_files_with(&:storage_service) }
    by_block = tenant(name: "encr") { encrypts_files_with(unless: :new_record?) { |firm| "#{firm.name}ypted" } }
    expect(by_method.with_s3_settings { place }).to eq("elsewhere")
    expect(by_block.with_s3_settings { place }).to eq("local")
    by_block.save!
    expect(by_block.with_s3_settings { place }).to eq("encrypted")
  end

  it "accepts a callable condition" do
    firm = tenant(encrypted: true) { encrypts_files_with :encrypted, if: ->(organisation) { organisation.encrypted } }
    expect(firm.s3_service_name).to eq(:encrypted)
    firm.encrypted = false
    expect([firm.s3_service_name, firm.encrypts_files?]).to eq([nil, false])
  end

  it "accepts conditions like Rails' callbacks: a lambda without parameters, which runs on the tenant, and lists" do
    firms = [
      tenant(name: "a") { encrypts_files_with :encrypted, if: -> { storage_service == "a" } },
      tenant(name: "a") { encrypts_files_with :encrypted, if: [:new_record?, -> { name == "a" }, :name.to_proc] },
      tenant(name: "a") { encrypts_files_with -> { "encrypted" if name == "a" }, unless: %i[persisted? encrypted] }
    ]
    expect(firms.map(&:s3_service_name)).to all(eq(:encrypted))
    firms.first.name = firms.second.name = "b"
    firms.third.encrypted = true
    expect(firms.map(&:s3_service_name)).to all(be_nil)
    [true, nil, [], [:encrypted?, nil], { encrypted: true }].each do |condition|
      expect { tenant { encrypts_files_with :encrypted, if: condition } }
        .to raise_error(ArgumentError, /`if:` of encrypts_files_with must be the name of a method, a Proc/)
    end
  end

  it "sets another attribute, or none, if the class says so" do
    person = tenant { encrypts_files_with :encrypted, current: "Current.person" }
    nobody = tenant { encrypts_files_with :encrypted, current: false }
    expect(person.with_s3_settings { [Current.person, Current.organisation] }).to eq([person, nil])
    expect(nobody.with_s3_settings { [Current.person, Current.organisation] }).to eq([nil, nil])
    expect(Current.person).to be_nil
  end

  it "does not run the block when the required service is missing, does not exist or does not encrypt",
     :aggregate_failures do
    unnamed = tenant(name: "") { encrypts_files_with(&:storage_service) }
    unknown = tenant { encrypts_files_with :encrypted_amazn }
    before = ActiveStorage::Blob.count
    plain = tenant { encrypts_files_with :local }
    [[unnamed, /Firm .*no service is given/], [unknown, /:encrypted_amazn/],
     [plain, /files of Firm .*`local` does not encrypt/]].each do |firm, message|
      expect { firm.with_s3_settings { store } }.to raise_error(EncryptedS3Service::ConfigurationError, message)
    end
    expect(ActiveStorage::Blob.count).to eq(before)
  end

  it "says what to do in a class without a declaration, or with a wrong one" do
    silent = Class.new { include EncryptedS3Service::Tenant }
    expect { silent.new.with_s3_settings { store } }
      .to raise_error(EncryptedS3Service::ConfigurationError, /Add encrypts_files_with/)
    expect { silent.encrypts_files_with }.to raise_error(EncryptedS3Service::ConfigurationError, /needs a service/)
    expect { silent.encrypts_files_with(:encrypted, when: :rich?) }.to raise_error(ArgumentError, /when/)
    expect { silent.encrypts_files_with(:encrypted, current: "organisation") }
      .to raise_error(EncryptedS3Service::ConfigurationError, /Current.organisation/)
  end
end
