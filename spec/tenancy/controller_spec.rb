# frozen_string_literal: true

require_relative "../rails_helper"
require_relative "../support/dummy_process"
require_relative "../support/plain_by_default"

RSpec.describe EncryptedS3Service::Controller, type: :request do
  include_context "with an application that stores in plaintext by default"

  let(:upload) { Rack::Test::UploadedFile.new(StringIO.new("sent by a form"), "text/plain", original_filename: "f") }

  def headers_of(organisation) = { "x-organisation" => organisation&.id.to_s }

  def send_form(organisation, path = "/tenant_documents", **more)
    post path, params: { file: upload, **more }, headers: headers_of(organisation)
  end

  it "stores files of a customer's form in the customer's service" do
    sent = [customer, other_customer, nil].map do |organisation|
      send_form(organisation)
      response.parsed_body.values_at("service", "tenant")
    end
    expect(sent).to eq([%w[encrypted encrypted], %w[local plain], ["local", nil]])
    expect([place, Current.organisation]).to eq(["local", nil])
  end

  it "ends with a request that fails" do
    expect { send_form(customer, fail: "yes") }.to raise_error("after the file")
    expect(place).to eq("local")
  end

  it "uses the right service also for a customer who is found after the callback" do
    sent = [customer, other_customer, nil].map do |organisation|
      send_form(organisation, "/tenant_late")
      response.parsed_body["service"]
    end
    expect(sent).to eq(%w[encrypted local local])
  end

  it "uses the right service when the callback finds one customer and later code another" do
    sender = other_customer
    controller = Class.new(TenantController) do
      before_action { Current.organisation = Organisation.find(request.headers["x-organisation"]) }
      def show = render(plain: ActiveStorage::Blob.service.name)
    end
    controller.prepend_before_action { Current.organisation = sender }
    expect(answer_of(controller)).to eq("encrypted")
    controller.before_action { Current.organisation = sender }
    expect(answer_of(controller)).to eq("local")
  end

  it "is not required for the right service: a controller that skips it follows the customer too" do
    controller = Class.new(TenantController) do
      skip_around_action :set_active_storage_service
      def show = render(plain: ActiveStorage::Blob.service.name)
    end
    expect(answer_of(controller)).to eq("encrypted")
  end

  it "keeps the customer for a body that is generated after the action" do
    sender = customer
    bodies = [Enumerator.new { |body| body << ActiveStorage::Blob.service.name.to_s },
              [1].lazy.map { ActiveStorage::Blob.service.name.to_s }]
    places = bodies.map do |late|
      answer_of(Class.new(ActionController::Base) do
        include EncryptedS3Service::Controller

        define_method(:show) { self.response_body = late }
        define_method(:s3_tenant) { sender }
        private :s3_tenant
      end)
    end
    expect(places).to eq(%w[encrypted encrypted])
    expect([place, Current.organisation]).to eq(["local", nil])
  end

  it "uses the customer to whom the action has changed for a body that is generated after it" do
    sender = customer
    late = Class.new(TenantController) do
      define_method(:show) do
        Current.organisation = sender
        self.response_body = Enumerator.new { |body| body << ActiveStorage::Blob.service.name.to_s }
      end
    end
    places = [other_customer, nil].map do |organisation|
      environment = Rack::MockRequest.env_for("/", "HTTP_X_ORGANISATION" => organisation&.id.to_s)
      body = Rails.application.executor.wrap { late.action(:show).call(environment).last }
      body.each.to_a.join
    end
    expect(places).to eq(%w[encrypted encrypted])
  end

  it "keeps the customer for callbacks that were declared before the concern and run after the action" do
    places = []
    note = -> { places << ActiveStorage::Blob.service.name }
    sender = customer
    controller = Class.new(ActionController::Base) do
      after_action(&note)
      around_action { |_, action| action.call && note.call }
      include EncryptedS3Service::Controller
      def show = head(:ok)
      define_method(:s3_tenant) { sender }
      private :s3_tenant
    end
    answer_of(controller)
    expect([places, place]).to eq([%i[encrypted encrypted], "local"])
  end

  describe "in a handler of rescue_from" do
    def rescuing(tenant, action)
      Class.new(ActionController::Base) do
        include EncryptedS3Service::Controller

        rescue_from(StandardError) { |error| render plain: "#{ActiveStorage::Blob.service.name} #{error.message}" }
        define_method(:show, &action)
        define_method(:s3_tenant) { tenant }
        private :s3_tenant
      end
    end

    it "keeps the customer of the action" do
      controller = rescuing(customer, -> { raise "a mistake" })
      expect([answer_of(controller), place]).to eq(["encrypted a mistake", "local"])
      expect(controller.action_methods).to eq(Set["show"])
    end

    it "stores nothing if the customer's service cannot be found" do
      lost = customer.tap { |one| one.define_singleton_method(:s3_service_name) { :lost } }
      controller = rescuing(lost, -> { head :ok })
      expect { answer_of(controller) }.to raise_error(EncryptedS3Service::ConfigurationError, /no .* service :lost/)
      controller.rescue_from(StandardError) { |error| render plain: error.class.name.demodulize }
      expect(answer_of(controller)).to eq("ConfigurationError")
    end

    it "stores nothing if finding the customer, or its service, raises any error" do
      lost = customer.tap { |one| one.define_singleton_method(:s3_service_name) { raise KeyError, "no service" } }
      failing = rescuing(nil, -> { head :ok })
      failing.define_method(:s3_tenant) { raise KeyError, "no customer" }
      [rescuing(lost, -> { head :ok }), failing].each do |controller|
        expect { answer_of(controller) }.to raise_error(KeyError, /no (service|customer)/)
      end
    end

    it "uses the default for an action without a customer" do
      controller = rescuing(nil, -> { EncryptedS3Service.with_service(:nowhere) { head :ok } })
      expect(answer_of(controller)).to start_with("local There is no Active Storage service :nowhere")
    end
  end

  # The answer of an action to a request of the encrypted customer, in a controller of the spec's own.
  def answer_of(controller)
    environment = Rack::MockRequest.env_for("/", "HTTP_X_ORGANISATION" => customer.id.to_s)
    Rails.application.executor.wrap do
      _, _, body = controller.action(:show).call(environment)
      body.each.to_a.join
    end
  end

  it "says so when the tenant's class is not a tenant" do
    controller = Class.new(TenantDocumentsController) do
      private

      def s3_tenant = "a string"
    end
    expect { controller.action(:new).call(Rack::MockRequest.env_for("/")) }
      .to raise_error(EncryptedS3Service::ConfigurationError, /String is used as a tenant/)
  end

  # In a process without Rails' test helpers, which take the thread away from ActionController::Live.
  it "keeps the service of a stream, whatever other requests its thread serves" do
    printed, = DummyProcess.run(<<~RUBY)
      encrypted = Organisation.create!(name: "encrypted", encrypted: true)
      plain = Organisation.create!(name: "plain")
      [[encrypted, plain], [plain, encrypted], [nil, encrypted]].each do |mine, others|
        environment = Rack::MockRequest.env_for("/tenant_stream", "HTTP_X_ORGANISATION" => mine&.id.to_s)
        _, _, body = Rails.application.call(environment)
        # The client is gone, and the stream goes on. Until Rails 8.0 our thread and its own share the objects behind
        # Current, which the end of the request empties.
        body.close
        Rails.application.executor.wrap do
          before = ActiveStorage::Blob.count
          Current.organisation = others
          TenantStreamsController.gate.push(:go)
          sleep 0.01 until ActiveStorage::Blob.uncached { ActiveStorage::Blob.count > before }
          sleep 0.01 until TenantStreamsController.ended.any?
          puts ActiveStorage::Blob.last.service_name, TenantStreamsController.ended.pop, Current.organisation.name
        end
      end
      puts ActiveStorage::Blob.new.service_name
    RUBY
    expect(printed.lines(chomp: true))
      .to eq(%w[encrypted encrypted plain local plain encrypted local none encrypted local])
  end

  describe "Active Storage's own controllers" do
    it "include the configured concern, once" do
      callbacks = ActiveStorage::DirectUploadsController._process_action_callbacks.map(&:filter)
      expect(callbacks.count(:set_active_storage_service)).to eq(1)
      expect { Rails.application.reloader.prepare! }.not_to(
        change { ActiveStorage::DirectUploadsController._process_action_callbacks.count }
      )
    end

    it "can redirect to pages of the application, as an authentication in a concern does" do
      blob = store
      link = ActiveStorage::Current.set(url_options: { host: "www.example.com" }) do
        EncryptedS3Service.with_service(:encrypted) { store.url }
      end
      [rails_storage_redirect_path(blob), rails_storage_proxy_path(blob), link].each do |path|
        get path, headers: { "x-organisation" => "to be chosen" }
        expect_choice
      end
      post rails_direct_uploads_path, params: { blob: {} }, headers: { "x-organisation" => "to be chosen" }
      expect_choice
    end

    def expect_choice = expect(response).to redirect_to("/documents/new")

    it "include it if a middleware sets the tenant, and not without configuration" do
      base = Class.new(ActionController::Base)
      described_class.include_in(nil, base)
      expect(base).not_to include(described_class)
      described_class.include_in(true, base)
      expect(base).to include(described_class)
      expect(base).not_to include(FindsOrganisation)
    end

    it "serve the files of any customer to anyone with the URL, from the service that stores them" do
      blob = customer.with_s3_settings { store("encrypted text") }
      get rails_service_blob_proxy_path(blob.signed_id, blob.filename), headers: headers_of(other_customer)
      expect(response.body).to eq("encrypted text")
    end
  end
end
