# frozen_string_literal: true

require_relative "../rails_helper"
require "yaml"

# Consoles, error reports and log lines show objects with keys in many ways.
RSpec.describe "The text of an object that holds keys" do
  let(:tenant_key) { "tenant-key-of-32-bytes-#{SecureRandom.hex(4)}x" }
  let(:secrets) do
    settings = TestStore.settings
    [settings[:encryption_key], TestStore::KEY, tenant_key, settings[:secret_access_key]].compact.map(&:b).uniq
  end

  # @return [Array<String>] of each way to turn it into text
  def texts(object)
    ways = [
      -> { object.inspect }, -> { object.to_s }, -> { "#{[object]}" }, # rubocop:disable Style/RedundantInterpolation
      -> { capture { pp object } }, -> { object.to_json }, -> { object.as_json.inspect },
      -> { JSON.generate(object) }, -> { JSON.pretty_generate([object]) },
      -> { YAML.dump(object) }, -> { YAML.dump([object]) }, -> { Marshal.dump(object) },
      -> { message_of { object.no_such_method } }, -> { message_of { object.instance_eval { no_such_name } } }
    ]
    ways.map { |way| text_of(&way) }
  end

  def capture
    before = $stdout
    $stdout = StringIO.new
    yield
    $stdout.string
  ensure
    $stdout = before
  end

  # A refused dump shows nothing, and neither may its error.
  def text_of
    yield.to_s.b
  rescue TypeError, EncryptedS3Service::ConfigurationError => e
    e.full_message(highlight: false).b
  end

  def message_of
    yield
  rescue NameError, EncryptedS3Service::ConfigurationError => e
    [e.message, e.full_message(highlight: false), e.detailed_message, e.inspect].join("\n")
  end

  def expect_no_secret_of(object)
    texts(object).each { |text| secrets.each { |secret| expect(text).not_to include(secret) } }
  end

  def configurator = ActiveStorage::Blob.services.send(:configurator)

  around do |example|
    keys = { encrypted: { "1" => tenant_key } }
    EncryptedS3Service.settings.tenant_keys = keys
    EncryptedS3Service.instance_variable_set(:@resolved_services, nil)
    example.run
  ensure
    EncryptedS3Service.settings.tenant_keys = nil
    EncryptedS3Service.instance_variable_set(:@resolved_services, nil)
  end

  it "shows no key of Active Storage's registry, its configurator and its services" do
    expect(secrets.size).to be >= 3
    service = ActiveStorage::Blob.services.fetch(:encrypted)
    [ActiveStorage::Blob.services, configurator, configurator.configurations, service, service.client,
     service.client.configuration, ActiveStorage::Blob.services.fetch(:mirrored)].each { expect_no_secret_of(_1) }
  end

  it "shows no key of the application's configuration" do
    entries = Rails.application.config.active_storage.service_configurations
    expect(entries.inspect).to include("encrypted", "[REDACTED]")
    [entries, entries["encrypted"], entries.dup, entries.merge("a" => 1), Rails.application.config.active_storage]
      .each { |object| secrets.each { |secret| expect(object.inspect.b).not_to include(secret) } }
    [entries, entries["encrypted"], EncryptedS3Service.settings].each { expect_no_secret_of(_1) }
  end

  it "does not change the values for the code that uses them" do
    entries = Rails.application.config.active_storage.service_configurations
    expect(entries.dig("encrypted", "encryption_key") || entries.dig(:encrypted, :encryption_key)).to be_a(String)
    expect(configurator.build(:encrypted).client.configuration).to be_complete
  end

  it "shows no key of tenants and resolved services" do
    ActiveStorage::Blob.services.fetch("encrypted@1")
    resolved = EncryptedS3Service.resolved_services
    entries = resolved.instance_variable_get(:@entries).values
    resolvers = resolved.instance_variable_get(:@resolvers)
    expect([entries, resolvers].map(&:size)).to all(be_positive)
    [resolved, *entries, *resolvers].each { expect_no_secret_of(_1) }
  end

  it "shows no key while a configuration is read" do
    options = EncryptedS3Service::Configuration::Options.new({ encryption_key: tenant_key, upload: { a: tenant_key } })
    expect_no_secret_of(options)
    nested = EncryptedS3Service::Configuration::Options.new({ keys: { a: tenant_key } }).nested(:keys)
    expect_no_secret_of(nested)
  end
end
