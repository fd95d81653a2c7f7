# frozen_string_literal: true

require_relative "../rails_helper"
require_relative "../support/dummy_process"
require "encrypted_s3_service/doctor"

RSpec.describe EncryptedS3Service::Doctor, "in a Rails application" do
  let(:output) { StringIO.new }
  let(:doctor) { described_class.new(entries, services: described_class.rails_services, output: output) }
  let(:entries) { described_class.rails_configurations }

  def tenant_keys(keys)
    EncryptedS3Service.settings.tenant_keys = keys
    EncryptedS3Service.instance_variable_set(:@resolved_services, nil)
  end

  after { tenant_keys(nil) }

  it "examines a tenant's service, with the tenant's key" do
    key = SecureRandom.bytes(32)
    tenant_keys(encrypted: { "42" => key })
    expect(doctor.run("encrypted@42")).to be(true), output.string
    expect(output.string).to match(/\Aencrypted@42: bucket #{bucket}$/)
    expect(output.string).to include("id #{EncryptedS3Service::EncryptionKey.new(key).id}")
  end

  it "reports that the tenant's key is destroyed" do
    tenant_keys(encrypted: {})
    expect { doctor.run("encrypted@42") }
      .to raise_error(EncryptedS3Service::ConfigurationError, /key of the service encrypted@42 is destroyed/)
  end

  it "examines services of a resolver, and the parts of a mirror" do
    entry = entries.fetch(:encrypted)
    resolver = ->(name) { name == "customer" ? entry : nil }
    EncryptedS3Service.settings.merge!(service_resolver: resolver, trusted_resolver: true)
    EncryptedS3Service.instance_variable_set(:@resolved_services, nil)
    expect(doctor.run("customer")).to be(true), output.string
    expect(doctor.run("mirrored")).to be(true), output.string
    expect(output.string.scan(/^(\w+): bucket/).flatten).to eq(%w[customer encrypted])
  ensure
    EncryptedS3Service.settings.merge!(service_resolver: nil, trusted_resolver: nil)
  end

  it "lists the existing services if the given one does not exist" do
    expect { doctor.run("nobody") }
      .to raise_error(EncryptedS3Service::ConfigurationError, /no EncryptedS3 service "nobody"\. .* has encrypted/)
    expect { doctor.run("local") }
      .to raise_error(EncryptedS3Service::ConfigurationError, /no EncryptedS3 service "local"/)
  end

  it "is a task, which reports on the application too" do
    printed, status = DummyProcess.run(<<~RUBY)
      Rails.application.load_tasks
      Rake::Task["encrypted_s3_service:doctor"].invoke
    RUBY
    expect(status.exitstatus).to eq(printed.include?("FAILED") ? 1 : 0), printed
    expect(printed).to match(/^application$.*^encrypted: bucket #{bucket}$/m)
    subjects = ["service", "Rails", "login", "host of URLs", "mirrors", "temporary folder"]
    expect(subjects).to all(satisfy { |subject| printed.match?(/^  \w+ +#{subject} /) })
  end

  describe "of the application" do
    checks = described_class::Application

    def finding(check) = Array(check.call).first.then { |found| [found.status, found.text] }

    it "names fixes that the version of Rails lacks" do
      { "7.1.6" => :warning, "7.2.2.2" => :warning, "7.2.3.1" => :warning, "7.2.3.2" => :ok, "8.0.5" => :warning,
        "8.0.5.1" => :ok, "8.1.3" => :warning, "8.1.3.1" => :ok, "8.2.0" => :ok }.each do |version, status|
        found = finding(checks::RailsCheck.new(Gem::Version.new(version)))
        expect([version, found.first]).to eq([version, status])
      end
      expect(finding(checks::RailsCheck.new(Gem::Version.new("8.0.4"))).last).to include("Update to 8.0.5.1")
    end

    it "reports whether a login is required" do
      settings = EncryptedS3Service::Engine::Settings.new
      expect(finding(checks::LoginCheck.new(settings))).to match([:hint, /anybody with a signed.*base_controller/])
      settings.base_controller = "GuardedController"
      expect(finding(checks::LoginCheck.new(settings))).to match([:ok, /GuardedController/])
    end

    it "reports whether addresses can be made outside of requests" do
      expect(finding(checks::HostCheck.new)).to match([:warning, /default_url_options/]).or match([:ok, /outside/])
      EncryptedS3Service.settings.default_url_options = { host: "files.example.com" }
      expect(finding(checks::HostCheck.new)).to match([:ok, /files\.example\.com outside .* from config/])
    ensure
      EncryptedS3Service.settings.default_url_options = nil
    end

    it "lists the mirrors that encrypt in part" do
      disk = { service: "Disk", root: "/nowhere" }
      mixed = { half: { service: "Mirror", primary: "encrypted", mirrors: ["disk"] }, disk: disk,
                encrypted: entries.fetch(:encrypted) }
      expect(finding(checks::MirrorsCheck.new(mixed))).to match([:failed, /`half` encrypts only in part: .* `disk`/])
      expect(finding(checks::MirrorsCheck.new(mixed.except(:half)))).to match([:ok, /none/])
    end

    it "reports little room for temporary files" do
      expect(finding(checks::TemporaryFolderCheck.new("/tmp", free: 100.megabytes)))
        .to match([:warning, /only 100 MB free.*TMPDIR/])
      expect(finding(checks::TemporaryFolderCheck.new)).to match([:ok, /free/]).or match([:warning, /only/])
      expect(finding(checks::TemporaryFolderCheck.new("/no/such/folder"))).to match([:skipped, /unknown/])
    end

    it "reports that the service is this gem's" do
      expect(finding(checks::ServiceFileCheck.new)).to match([:ok, /this gem/])
    end
  end
end
