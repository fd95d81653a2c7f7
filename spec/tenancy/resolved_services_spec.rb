# frozen_string_literal: true

require_relative "../rails_helper"

# A customer brings a bucket of their own; it is in the database and not in storage.yml.
RSpec.describe EncryptedS3Service::ResolvedServices, type: :request do
  # @return [Hash] an entry with a key that only this customer has
  def entry(number) = { service: "EncryptedS3", **TestStore.settings(encryption_key: key_of(number)) }

  def key_of(number) = OpenSSL::Digest.digest("SHA256", "customer #{number}")

  # Resolves `customer-1`, `customer-2` and so on, and counts its calls.
  def resolver
    @asked = Hash.new(0)
    lambda do |name|
      number = name[/\Acustomer-(\d+)\z/, 1]
      (@asked[name] += 1) && entry(number) if number
    end
  end

  around do |example|
    @resolvers = [resolver]
    services = described_class.new(@resolvers, limit: 3, ttl: 1000)
    EncryptedS3Service.instance_variable_set(:@resolved_services, services)
    example.run
  ensure
    EncryptedS3Service.instance_variable_set(:@resolved_services, nil)
  end

  def services = EncryptedS3Service.resolved_services

  def store(service_name, text = "a contract")
    ActiveStorage::Blob.create_and_upload!(io: StringIO.new(text), filename: "a.txt", service_name: service_name)
  end

  it "stores a file with the customer's own settings, and finds it by its row" do
    blob = store("customer-1")
    expect(stored_plaintext(blob.key, key_of(1))).to eq("a contract")
    expect(ActiveStorage::Blob.find(blob.id).download).to eq("a contract")
    blob.purge
    expect(server.head(bucket, blob.key)[0]).to eq(404)
  end

  it "serves such a file by a link" do
    blob = store("customer-1")
    get rails_storage_redirect_path(blob)
    follow_redirect!
    expect(response.body).to eq("a contract")
  end

  it "finds such services in a new process" do
    blob = store("customer-1")
    EncryptedS3Service.instance_variable_set(:@resolved_services, described_class.new(@resolvers))
    expect(ActiveStorage::Blob.find(blob.id).open(&:read)).to eq("a contract")
  end

  it "refuses a blob of a service that neither storage.yml nor the resolver has, as Rails does" do
    # Rails 8.2 asks the service for a checksum before it validates the blob.
    refusal = ActiveStorage::Service.method_defined?(:compute_checksum) ? KeyError : ActiveRecord::RecordInvalid
    expect { store("nobody") }.to raise_error(refusal, /Service name is invalid|nobody/)
    expect { ActiveStorage::Blob.services.fetch("nobody") }.to raise_error(KeyError, /nobody/)
    expect(ActiveStorage::Blob.services.fetch("nobody") { |key| "no #{key}" }).to eq("no nobody")
  end

  it "finds the services of storage.yml without calling the resolver" do
    expect(ActiveStorage::Blob.services.fetch(:encrypted).name).to eq(:encrypted)
    expect(@asked).to be_empty
  end

  it "builds a service once and keeps it, so that its connections are reused" do
    fetched = Array.new(8) { Thread.new { ActiveStorage::Blob.services.fetch("customer-1") } }.map(&:value)
    expect(ActiveStorage::Blob.services.fetch(:"customer-1")).to be(services.fetch("customer-1"))
    expect(fetched.map(&:name).uniq).to eq([:"customer-1"])
    expect(@asked["customer-1"]).to be <= 8
    asked = @asked["customer-1"]
    services.fetch("customer-1")
    expect(@asked["customer-1"]).to eq(asked)
  end

  it "keeps at most the configured number of services, the most recently used" do
    %w[1 2 3 1 4].each { |number| services.fetch("customer-#{number}") }
    expect(services.inspect).to end_with("[:\"customer-3\", :\"customer-1\", :\"customer-4\"]>")
    services.fetch("customer-1")
    expect(@asked["customer-1"]).to eq(1)
  end

  it "announces each service that is dropped because of the limit" do
    gone = []
    ActiveSupport::Notifications.subscribed(->(*, payload) { gone << payload }, described_class::EVICTION_EVENT) do
      %w[1 2 3 1 4 4 5].each { |number| services.fetch("customer-#{number}") }
    end
    expect(gone).to eq([{ service: :"customer-2", limit: 3 }, { service: :"customer-3", limit: 3 }])
  end

  it "keeps no database connection of a thread that Rails does not manage" do
    asking = ->(name) { Organisation.connection.select_value("select 1") && @resolvers.first.call(name) }
    services = described_class.new([asking])
    pool = ActiveRecord::Base.connection_pool
    fetch = ->(number) { services.fetch("customer-#{number}") && pool.active_connection? }
    in_thread, *others = [
      -> { fetch[1] },
      -> { Rails.application.executor.wrap { fetch[2] } },
      -> { Organisation.transaction { fetch[3] } },
      # The thread may have set something in the session of its connection.
      -> { pool.with_connection { |own| fetch[4].equal?(own) } }
    ].map { |work| Thread.new(&work).value }
    expect([in_thread, others]).to match([be_falsy, all(be_truthy)])
  end

  it "shows no setting when it is inspected" do
    services.fetch("customer-1")
    expect(services.inspect.b).not_to include(key_of(1), server.secret_access_key)
  end

  describe "whose settings may change" do
    let(:current) { { "customer-1" => entry(1) } }
    let(:services) { described_class.new([->(name) { current[name] }], ttl: 0) }

    it "uses the current settings, and keeps the service while they do not change" do
      first = services.fetch("customer-1")
      expect(services.fetch("customer-1")).to be(first)
      current["customer-1"] = entry(2)
      expect(services.fetch("customer-1")).not_to be(first)
      current.clear
      expect(services.fetch("customer-1")).to be_nil
    end

    it "can be dropped at once" do
      services = described_class.new([->(name) { current[name] }])
      first = services.fetch("customer-1")
      current["customer-1"] = entry(2)
      expect(services.fetch("customer-1")).to be(first)
      services.forget("customer-1")
      expect(services.fetch("customer-1")).not_to be(first)
    end
  end

  it "refuses one service for two names, because files of one tenant would be under the name of the other" do
    shared = ActiveStorage::Blob.services.fetch(:encrypted).dup
    [shared.tap { shared.name = nil }, ActiveStorage::Blob.services.fetch(:encrypted)].each do |service|
      services = described_class.new([->(_) { service }])
      services.fetch("customer-1") unless service.name
      expect { services.fetch("customer-2") }
        .to raise_error(EncryptedS3Service::ConfigurationError, /the service `(encrypted|customer-1)` for .*customer-2/)
    end
    expect(ActiveStorage::Blob.services.fetch(:encrypted).name).to eq(:encrypted)
  end

  it "reports errors in the resolver's result" do
    services = described_class.new([->(_) { { bucket: "b" } }])
    expect { services.fetch("customer-1") }
      .to raise_error(EncryptedS3Service::ConfigurationError, /a Hash with `service:` for :"customer-1"/)
    services = described_class.new([->(_) { { service: "EncryptedS3", bucket: "b", encryption_key: "short" } }])
    expect { services.fetch("customer-1") }.to raise_error(EncryptedS3Service::ConfigurationError, /encryption_key/)
  end
end
