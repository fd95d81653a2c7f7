# frozen_string_literal: true

require_relative "../rails_helper"
require_relative "../support/plain_by_default"

RSpec.describe EncryptedS3Service::DirectUploads, type: :request do
  include ActiveSupport::Testing::TimeHelpers
  include_context "with an application that stores in plaintext by default"

  let(:text) { "sent by a browser" }
  let(:announced) do
    { filename: "direct.txt", byte_size: text.bytesize, checksum: md5(text), content_type: "text/plain" }
  end

  # @return [ActiveStorage::Blob] of the last answer
  def created = ActiveStorage::Blob.find_signed!(response.parsed_body.fetch("signed_id"))

  # Requests a blob, as Rails' JavaScript does.
  def ask(organisation: nil, blob: announced, **query)
    post rails_direct_uploads_path(**query), params: { blob: blob }, as: :json,
                                             headers: { "x-organisation" => organisation&.id.to_s }
  end

  # The second half of a direct upload, as Rails' JavaScript does it.
  # @return [ActiveStorage::Blob] whose file it was
  def send_file
    blob = created
    url, headers = response.parsed_body["direct_upload"].values_at("url", "headers")
    put url, params: text, headers: headers
    expect(response).to have_http_status(:no_content)
    blob
  end

  def token(...) = described_class.token(...)

  # @return [Integer] blobs that the block made
  def blobs_made
    before = ActiveStorage::Blob.count
    yield
    ActiveStorage::Blob.count - before
  end

  def expect_refusal(message, **)
    expect(blobs_made { ask(**) }).to eq(0)
    expect(response).to have_http_status(:forbidden)
    expect(response.parsed_body["error"]).to match(message)
  end

  def with_options(**options)
    settings = Rails.application.config.encrypted_s3_service
    before = settings.to_h.slice(*options.keys)
    settings.merge!(options)
    yield
  ensure
    settings.merge!(before)
  end

  it "uses the default service without a token" do
    ask
    expect(response).to have_http_status(:ok)
    expect(created.service_name).to eq("local")
  end

  it "uses the service of the token" do
    ask(service_token: token(:encrypted))
    expect(response).to have_http_status(:ok)
    expect(created).to have_attributes(service_name: "encrypted", byte_size: text.bytesize)
    expect(response.parsed_body["direct_upload"]["url"]).not_to include("X-Amz-Signature")
  end

  it "uses the service of the customer that Active Storage's controllers know" do
    ask(organisation: customer)
    expect(created.service_name).to eq("encrypted")
  end

  it "prefers the token to the customer's service" do
    ask(organisation: customer, service_token: token(:local))
    expect(created.service_name).to eq("local")
  end

  it "refuses a token that was changed, is empty or was signed for another purpose", :aggregate_failures do
    good = token(:encrypted)
    blob_token = ActiveStorage.verifier.generate({ "service" => "encrypted" }, purpose: :blob_token)
    no_purpose = ActiveStorage.verifier.generate({ "service" => "encrypted" })
    ["#{good}x", good.swapcase, "", "encrypted", blob_token, no_purpose, store.signed_id].each do |wrong|
      expect_refusal(/invalid or has expired/, service_token: wrong)
    end
  end

  it "cannot be used to fetch or send a file, and the token of an address cannot choose a service" do
    upload = ActiveStorage.verifier.generate({ key: "k", service_name: "encrypted", service: "encrypted" },
                                             purpose: EncryptedS3Service::Serving::Token::DIRECT_UPLOAD)
    expect_refusal(/invalid or has expired/, service_token: upload)
    path = "/rails/active_storage/encrypted_s3/#{token(:encrypted)}"
    put path, params: "x"
    expect(response).to have_http_status(:not_found)
    get "#{path}/a.txt"
    expect(response).to have_http_status(:not_found)
  end

  it "refuses a token that is not a String" do
    expect(blobs_made { ask(service_token: { a: "b" }) }).to eq(0)
    expect(response).to have_http_status(:forbidden)
  end

  it "refuses a token that has expired" do
    old = [token(:encrypted), token(:encrypted, expires_in: 1.minute)]
    configured = with_options(direct_upload_token_expires_in: 2.minutes) { token(:encrypted) }
    travel 3.minutes do
      ask(service_token: old.first)
      expect(response).to have_http_status(:ok)
      expect_refusal(/expired/, service_token: old.last)
      expect_refusal(/expired/, service_token: configured)
    end
    travel(25.hours) { expect_refusal(/expired/, service_token: old.first) }
  end

  it "accepts a token that never expires, if the application makes such tokens" do
    endless = [token(:encrypted, expires_in: false),
               with_options(direct_upload_token_expires_in: false) { token(:encrypted) }]
    travel 10.years do
      endless.each do |good|
        ask(service_token: good)
        expect(created.service_name).to eq("encrypted")
      end
    end
  end

  it "makes a token for a customer who is not stored yet, which is bound to no customer" do
    free = Organisation.new(encrypted: true).with_s3_settings { token(:encrypted) }
    ask(organisation: other_customer, service_token: free)
    expect(created.service_name).to eq("encrypted")
    expect { token(:encrypted, tenant: "a string") }.to raise_error(ArgumentError, /String without a GlobalID/)
  end

  describe "if the application requires tokens" do
    around { |example| with_options(direct_uploads: :token) { example.run } }

    it "refuses a request without a token for a service that does not encrypt" do
      expect_refusal(/needs a service_token/)
      expect_refusal(/needs a service_token/, organisation: other_customer)
      with_options(direct_upload_services: %i[local mirrored]) do
        %w[local mirrored].each { |name| expect_refusal(/needs a service_token/, service_name: name) }
      end
    end

    it "accepts a request without a token if the service in force encrypts, and every request with one" do
      ask(organisation: customer)
      expect(created.service_name).to eq("encrypted")
      %w[local encrypted].each do |service|
        ask(service_token: token(service))
        expect(created.service_name).to eq(service)
      end
    end

    it "has a token in every form" do
      get "/tenant_documents/new"
      field = Nokogiri::HTML5.fragment(response.body).at_css("#contract_note")
      ask(**Rack::Utils.parse_query(URI(field["data-direct-upload-url"]).query).symbolize_keys)
      expect(created.service_name).to eq("local")
    end
  end

  it "refuses the token of another customer" do
    theirs = token(:encrypted, tenant: customer)
    ask(organisation: customer, service_token: theirs)
    expect(created.service_name).to eq("encrypted")
    expect_refusal(/another tenant/, organisation: other_customer, service_token: theirs)
    expect_refusal(/another tenant/, service_token: theirs)
  end

  it "binds a token to the current customer, if Active Storage's controllers know customers" do
    bound, free = customer.with_s3_settings { [token(:encrypted), token(:encrypted, tenant: false)] }
    expect_refusal(/another tenant/, organisation: other_customer, service_token: bound)
    ask(organisation: other_customer, service_token: free)
    expect(created.service_name).to eq("encrypted")
    unbound = with_options(active_storage_concerns: nil) { customer.with_s3_settings { token(:encrypted) } }
    ask(service_token: unbound)
    expect(created.service_name).to eq("encrypted")
  end

  it "makes no token for a service that does not exist, and accepts none for a deleted service" do
    expect { token(:encrypted_amazn) }.to raise_error(EncryptedS3Service::ConfigurationError)
    expect { token(nil) }.to raise_error(EncryptedS3Service::ConfigurationError)
    gone = ActiveStorage.verifier.generate({ "service" => "gone" }, purpose: described_class::PURPOSE)
    expect(blobs_made { expect { ask(service_token: gone) }.to raise_error(EncryptedS3Service::ConfigurationError) })
      .to eq(0)
  end

  it "refuses the plain name of a service" do
    expect_refusal(/direct_upload_services/, service_name: "encrypted")
    expect_refusal(/direct_upload_services/, service_name: "local")
  end

  it "ignores a service's name among the attributes of the file" do
    ask(blob: announced.merge(service_name: "encrypted"))
    expect(created.service_name).to eq("local")
  end

  it "accepts only the plain names that the application lists" do
    with_options(direct_upload_services: %i[encrypted]) do
      ask(service_name: "encrypted")
      expect(created.service_name).to eq("encrypted")
      expect_refusal(/may not choose/, service_name: "mirrored")
      expect_refusal(/may not choose/, service_name: "")
    end
  end

  it "refuses requests that choose a service on a Rails version that it cannot patch" do
    unknown = Class.new(ActionController::Base) { def create = head(:ok) }
    described_class::Controller.install(unknown)
    chosen, plain = %w[service_token=abc other=1].map do |query|
      unknown.action(:create).call(Rack::MockRequest.env_for("/?#{query}", method: "GET"))
    end
    expect(plain.first).to eq(200)
    expect([chosen.first, JSON.parse(chosen.last.body)["error"]]).to match([403, /DirectUploadsController#blob_args/])
  end

  it "raises a readable error when the client omitted the token" do
    ask
    contract = Contract.new(contract_pdf: send_file.signed_id)
    expect(contract.save).to be(false)
    expect(contract.errors.full_messages.join).to include("Please choose the file again")
  end

  describe "the form" do
    let(:page) { TenantController.new.tap { |controller| controller.request = request_of_page }.view_context }
    let(:request_of_page) { ActionDispatch::TestRequest.create }

    # @return [Hash] the parameters of the URL that a field sends the browser to
    def query_of(html, id)
      field = Nokogiri::HTML5.fragment(html).at_css("##{id}")
      Rack::Utils.parse_query(URI(field["data-direct-upload-url"]).query)
    end

    it "sends a file to the service of its attribute" do
      get "/tenant_documents/new"
      ask(**query_of(response.body, "contract_contract_pdf").symbolize_keys)
      expect(created.service_name).to eq("encrypted")
      contract = Contract.create!(contract_pdf: send_file.signed_id)
      expect(contract.reload.contract_pdf.download).to eq(text)
      expect(encrypted_in_bucket?(contract.contract_pdf.blob, text)).to be(true)
    end

    it "has Rails' own URL if nothing chooses a service, and a customer's token for a current customer" do
      get "/tenant_documents/new"
      expect(query_of(response.body, "contract_note")).to eq({})
      get "/tenant_documents/new", headers: { "x-organisation" => customer.id.to_s }
      query = query_of(response.body, "contract_note").symbolize_keys
      expect_refusal(/another tenant/, organisation: other_customer, **query)
      ask(organisation: customer, **query)
      expect(created.service_name).to eq("encrypted")
    end

    it "accepts a service as an option" do
      html = page.form_with(model: Contract.new, url: "/") do |form|
        form.file_field(:note, direct_upload: { service: :encrypted })
      end
      ask(**query_of(html, "contract_note").symbolize_keys)
      expect(created.service_name).to eq("encrypted")
      html = page.file_field_tag(:any, direct_upload: { service: :mirrored, expires_in: 1.hour })
      ask(**query_of(html, "any").symbolize_keys)
      expect(created.service_name).to eq("mirrored")
    end

    it "calls the attribute's Proc", if: Contract.method_defined?(:scan) do
      contract = Contract.new(organisation: customer)
      html = page.form_with(model: contract, url: "/") { |form| form.file_field(:scan, direct_upload: true) }
      ask(**query_of(html, "contract_scan").symbolize_keys)
      expect(created.service_name).to eq("encrypted")
    end

    it "does not change other file fields" do
      html = page.form_with(model: Contract.new, url: "/") { |form| form.file_field(:contract_pdf, class: "wide") }
      expect(html).to include('class="wide"').and include('type="file"')
      expect(html).not_to include("direct")
      expect(page.file_field_tag(:any, direct_upload: true)).to include('/rails/active_storage/direct_uploads"')
    end

    # From 8.2 on Rails has an option for the digest that the browser computes.
    it "leaves the field's other options to Rails" do
      plain, signed = [true, { service: :encrypted }].map do |choice|
        html = page.file_field_tag(:any, direct_upload: choice, data_checksum_algorithm: "sha256")
        html.scan(/ ([\w-]*checksum[\w-]*)="sha256"/)
      end
      expect(signed).to eq(plain).and have_attributes(size: 1)
    end

    it "finds the record of a field like Rails, when the helper is given none" do
      page.instance_variable_set(:@contract, Contract.new)
      fields = [page.file_field(:contract, :contract_pdf, direct_upload: true),
                page.file_field("contract", :appendices, direct_upload: true, multiple: true)]
      expect(fields.zip(%w[contract_contract_pdf contract_appendices]).map { |html, id| query_of(html, id).keys })
        .to eq([["service_token"]] * 2)
      html = page.fields_for(:other) { |form| form.file_field(:contract_pdf, direct_upload: true) }
      expect(query_of(html, "other_contract_pdf")).to eq({})
      expect(page.file_field("contract[nested]", :contract_pdf, direct_upload: true)).to include("direct_uploads\"")
    end

    it "omits the address if Active Storage has no routes, like Rails" do
      bare = Class.new(ActionView::Base.with_empty_template_cache).with_view_paths([])
      expect(bare.file_field_tag(:any, direct_upload: { service: :encrypted })).not_to include("direct")
      expect(bare.direct_uploads_url_for(:encrypted)).to be_nil
    end

    describe "for a rich text" do
      # @return [Array<Hash>] what the editors of all helpers that this Rails has show when they ask for a blob
      def queries
        forms = %i[rich_text_area rich_textarea].flat_map do |name|
          next [] unless page.respond_to?(name)

          [page.form_with(model: Article.new, url: "/") { |form| form.public_send(name, :body) },
           page.public_send(name, :article, :body), page.public_send(:"#{name}_tag", :body)]
        end
        forms.map do |html|
          editor = Nokogiri::HTML5.fragment(html).at_css("[data-direct-upload-url]")
          Rack::Utils.parse_query(URI(editor["data-direct-upload-url"]).query).symbolize_keys
        end
      end

      it "sends pictures to the customer's service" do
        made = customer.with_s3_settings { queries }
        expect(made.size).to be >= 3
        made.each do |query|
          ask(organisation: customer, **query)
          expect(created.service_name).to eq("encrypted")
        end
        expect(Current.set(organisation: customer) { queries }.map(&:keys)).to all(eq([:service_token]))
      end

      it "has Rails' own URL if nothing chooses a service, and the application's URL if it sets one" do
        expect(queries).to all(eq({}))
        data = { direct_upload_url: "/own", a: 1 }
        html = customer.with_s3_settings { page.rich_text_area_tag(:body, nil, data: data) }
        expect(html).to include('data-direct-upload-url="/own"').and include('data-a="1"')
        expect(html).not_to include("service_token")
      end

      it "needs no table of Action Text: the application may keep its texts in columns of its own" do
        table = ActionText::RichText.table_name
        ActionText::RichText.table_name = "missing"
        expect(page.rich_text_area_tag(:body)).to include("direct_uploads\"")
        expect(customer.with_s3_settings { page.rich_text_area_tag(:body) }).to include("service_token")
      ensure
        ActionText::RichText.table_name = table
      end
    end

    it "has a URL for elements other than file fields" do
      query = Rack::Utils.parse_query(URI(page.direct_uploads_url_for(:encrypted)).query)
      ask(**query.symbolize_keys)
      expect(created.service_name).to eq("encrypted")
    end

    it "raises for a service that does not exist" do
      expect { page.file_field_tag(:any, direct_upload: { service: :encrypted_amazn }) }
        .to raise_error(EncryptedS3Service::ConfigurationError, /encrypted_amazn/)
    end
  end
end
