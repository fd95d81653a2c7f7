# frozen_string_literal: true

require_relative "../rails_helper"
require_relative "../support/small_app"

RSpec.describe EncryptedS3Service::Engine::Settings do
  subject(:settings) { described_class.new }

  let(:refused) { EncryptedS3Service::ConfigurationError }

  it "is one object for every way of access" do
    ways = [EncryptedS3Service::Engine.config, Rails.configuration, Rails.application.config]
    expect(ways.map(&:encrypted_s3_service)).to all(equal(EncryptedS3Service.settings))
    expect(EncryptedS3Service.settings).to be_a(described_class)
  end

  it "refuses a misspelt name, and suggests the right one" do
    message = /encrypted_s3_service\.base_controler does not exist\. Did you mean base_controller\?/
    expect { settings.base_controler = "ApplicationController" }.to raise_error(refused, message)
    expect { settings.base_controler }.to raise_error(refused, message)
    expect { settings[:base_controler] = "ApplicationController" }.to raise_error(refused, message)
    expect { settings["base_controler"] }.to raise_error(refused, message)
    expect { settings.merge!(base_controler: "ApplicationController") }.to raise_error(refused, message)
    expect { settings.update("base_controler" => nil) }.to raise_error(refused, message)
  end

  it "refuses a name without a similar one, and lists all names" do
    expect { settings.colour = "red" }
      .to raise_error(refused, /\.colour does not exist\. The settings are: .*base_controller, .*tenant_keys, .*\.\z/)
  end

  it "refuses names of Ruby's private methods" do
    %i[format= test= open= print= system=].each do |name|
      expect { settings.public_send(name, 1) }.to raise_error(refused, /does not exist/)
    end
    expect { settings.format }.to raise_error(refused, /does not exist/)
  end

  it "lets Ruby call implicit conversions" do
    expect([settings].flatten).to eq([settings])
    expect { puts settings }.to output(/Settings/).to_stdout
  end

  {
    base_controller: [[Object, "a class", :lower_case, 1, "Not A::Class"], ["Files::Base", :ApplicationController]],
    active_storage_concerns: [[1, [:lower], { a: 1 }], [true, false, "FindsTenant", %w[FindsTenant AsksForLogin]]],
    current_tenant: [["Current", "current.tenant", 1, "Current."], ["Current.organisation", "A::Current.b"]],
    copy_attached_blobs: [["true", 1], [false, true]],
    carry_tenant_in_jobs: [["true", 1], [false, true]],
    plaintext_mirrors: [[1, [nil], { a: 1 }], [:moving, "moving", %i[moving other], []]],
    trusted_resolver: [["true", :all], [true, false]],
    trusted_resolver_endpoints: [[1, [nil], { a: 1 }], ["minio.internal", %w[http://10.0.0.1:9000 minio:9000], []]],
    service_resolver: [["name", {}], [->(name) { name }, :name.method(:to_s)]],
    resolved_services_limit: [[0, "7", 1.5, true], [1, 5_000]],
    resolved_services_ttl: [["60", -1, true], [0, 0.5, 2.minutes]],
    tenant_keys: [[->(id) { id }, "encrypted", { encrypted: 1.5 }, { 7 => {} }, []],
                  [{ encrypted: { "1" => "k" } }, { "encrypted" => ->(id) { id } }]],
    key_custodian: [["OpenBao", {}, ->(reference) { reference }], [Struct.new(:unwrap).new("key")]],
    key_custody_ttl: [[0, "5 minutes", true, 2.days], [1, 5.minutes]],
    report_signing_key: [[:key, 1], ["file:config/report-key.pem"]],
    migration_scopes: [[[:all], { all: "all" }], [{ all: -> {} }]],
    direct_upload_token_expires_in: [[0, "1 day", -1.minute, true], [30, 1.day, false]],
    direct_upload_services: [[1, [nil], { a: 1 }], [:encrypted, "encrypted", %i[encrypted], []]],
    default_url_options: [["www.example.com", {}, { host: "" }, { port: 80 }],
                          [{ host: "a.example" }, { "host" => "a.example", protocol: "https" }]],
    media_urls_expire_in: [[0, "1 hour", true], [30, 12.hours]],
    direct_upload_slowest_rate: [[0, 1.5, "1"], [1, 1.megabyte]],
    direct_uploads: [["false", 1, :off], [true, false, :token]],
    large_reads_limit: [[0, 1.5, "8"], [1, 100]],
    direct_upload_limit: [[-1, "1 GB", 1.5], [0, 5.gigabytes]],
    cors_origins: [["app.example.com", "https://a.example/", 1, [nil], { a: 1 }],
                   ["*", "https://a.example", "http://localhost:3000", [%r{https://\w+\.a\.example}, "https://b.example"]]],
    frame_ancestors: [["https://a.example https://b.example", "'self'; script-src *", "a\nb", :self, 1],
                      ["'none'", ["'self'", "https://*.a.example"]]]
  }.each do |name, (wrong, right)|
    it "accepts only valid values for #{name}" do
      wrong.each do |value|
        expect { settings[name] = value }
          .to raise_error(refused, /\Aconfig\.encrypted_s3_service\.#{name} must be /), value.inspect
      end
      right.each do |value|
        settings[name] = value
        expect(settings[name]).to eq(value)
      end
    end
  end

  it "has an example for every setting in this file" do
    tried = described_class.declarations.keys.map { |name| "accepts only valid values for #{name}" }
    expect(self.class.examples.map(&:description)).to include(*tried)
  end

  it "accepts the former name of active_storage_concerns, with a warning that names the new one" do
    warned = /active_storage_controllers is deprecated\. Use active_storage_concerns instead/
    warnings = []
    allow(EncryptedS3Service.deprecator).to receive(:warn) { |message| warnings << message }
    settings.active_storage_controllers = "FindsTenant"
    settings.merge!(active_storage_controllers: %w[FindsTenant Other])
    expect([settings.active_storage_concerns, settings[:active_storage_controllers]]).to all(eq(%w[FindsTenant Other]))
    expect(warnings.size).to eq(3)
    expect(warnings).to all(match(warned))
    expect(Rails.application.deprecators[:encrypted_s3_service]).to be(EncryptedS3Service.deprecator)
  end

  it "accepts nil for the default" do
    settings.resolved_services_limit = 5
    settings.resolved_services_limit = nil
    expect(settings.resolved_services_limit).to eq(100)
    expect(settings.to_h).to include(base_controller: "ActiveStorage::BaseController", current_tenant: nil)
  end

  it "detects a Hash that was changed after it was assigned" do
    settings.tenant_keys = { encrypted: {} }
    settings.tenant_keys[:other] = nil
    expect { settings.check }.to raise_error(refused, /tenant_keys must be/)
  end

  it "shows no key" do
    settings.tenant_keys = { encrypted: { "1" => "k" * 32 } }
    texts = [settings.inspect, settings.to_s, settings.to_json]
    expect(texts.grep(/kkk/)).to be_empty
    expect { pp settings }.to output(/\A(?!.*kkk).*tenant_keys/).to_stdout
    expect { settings.tenant_keys = "k" * 32 }.to raise_error(refused) { |e| expect(e.message).not_to include("kkk") }
  end

  describe "in an application" do
    def boot(line)
      SmallApp.create do |app|
        app.write("config/initializers/encrypted_s3_service.rb", line)
        _, said, status = app.rails("runner", "puts 1")
        yield status, said
      end
    end

    it "stops the boot at the line with the error" do
      boot("Rails.application.config.encrypted_s3_service.current_tennant = 'Current.organisation'") do |status, said|
        expect(status).not_to be_success
        expect(said).to include("current_tennant does not exist. Did you mean current_tenant?")
        expect(said).to include("config/initializers/encrypted_s3_service.rb:1")
      end
    end

    it "stops the boot if all settings were replaced by a Hash" do
      boot("Rails.application.config.encrypted_s3_service = { base_controler: 'X' }") do |status, said|
        expect(status).not_to be_success
        expect(said).to match(/config\.encrypted_s3_service was replaced by a Hash\. Assign each setting/)
      end
    end

    it "stops the boot if a Hash was changed to an invalid one after it was assigned" do
      boot(<<~RUBY) do |status, said|
        keys = {}
        Rails.application.config.encrypted_s3_service.tenant_keys = keys
        Rails.application.config.to_prepare { keys[:encrypted] = 1.5 }
      RUBY
        expect(status).not_to be_success
        expect(said).to match(/config\.encrypted_s3_service\.tenant_keys must be a Hash/)
      end
    end
  end
end
