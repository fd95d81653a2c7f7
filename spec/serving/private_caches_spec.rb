# frozen_string_literal: true

require_relative "../rails_helper"
require_relative "../active_storage_helper"
require_relative "../support/fault_proxy"

# Decrypted bytes stay out of all caches but the visitor's own, on every route.
RSpec::Matchers.define_negated_matcher :not_include, :include

RSpec.describe "What caches may keep of a decrypted file", type: :request do
  let(:blob) { store }

  def store(service_name: "encrypted", filename: "a.txt", data: "a text", type: "text/plain")
    ActiveStorage::Blob.create_and_upload!(io: StringIO.new(data), filename: filename, content_type: type,
                                           service_name: service_name, identify: false)
  end

  def cache_control = response.headers["cache-control"].split(", ")

  def expect_private(at_most:)
    expect(cache_control).to include("private")
    expect(cache_control).not_to include("public", "immutable")
    age = cache_control.join(",")[/max-age=(\d+)/, 1]
    expect(Integer(age)).to be_between(0, at_most) if age
  end

  def picture
    store(filename: "a.png", data: Samples.png(32, 32), type: "image/png")
  end

  routes = {
    "the link that redirects" => ->(blob) { rails_storage_redirect_path(blob) },
    "the proxy" => ->(blob) { rails_storage_proxy_path(blob) },
    "the address of the service" => lambda { |blob|
      ActiveStorage::Current.set(url_options: { host: "www.example.com" }) { blob.url }
    }
  }

  routes.each do |what, path|
    it "is private at #{what}, for GET, HEAD, a part, and a file that the visitor has" do
      url = instance_exec(blob, &path)
      get url
      expect_private(at_most: 300)
      etag = response.headers["etag"]
      get url, headers: { "If-None-Match" => etag }
      expect_private(at_most: 300)
      head url
      expect_private(at_most: 300)
      get url, headers: { "Range" => "bytes=0-1" }
      expect_private(at_most: 300)
    end
  end

  it "is private at the proxy of a mirror whose primary encrypts" do
    get rails_storage_proxy_path(store(service_name: "mirrored"))
    expect_private(at_most: 300)
    expect(response.body).to eq("a text")
  end

  it "is private at the proxies and links of variants" do
    representation = picture.representation(resize_to_limit: [8, 8])
    [rails_storage_proxy_path(representation), rails_storage_redirect_path(representation)].each do |url|
      get url
      expect(response.status).to be_in([200, 302])
      expect_private(at_most: 300)
    end
    get response.location
    expect(response).to have_http_status(:ok)
    expect_private(at_most: 300)
  end

  it "is fresh no longer than the link of the proxy is valid" do
    get rails_storage_proxy_path(blob, expires_in: 20.seconds)
    expect_private(at_most: 20)
    expires = rails_storage_proxy_path(blob, expires_at: 10.seconds.from_now)
    travel(5.seconds) { get expires }
    expect_private(at_most: 5)
  end

  it "is revalidated by its tag, and not sent again while it is the same" do
    get rails_storage_proxy_path(blob)
    etag = response.headers["etag"]
    expect(etag).to be_present
    reads = []
    ActiveSupport::Notifications.subscribed(->(name, *) { reads << name }, /service_.*download.*\.active_storage/) do
      get rails_storage_proxy_path(blob), headers: { "If-None-Match" => etag }
    end
    expect(response).to have_http_status(:not_modified)
    expect(reads).to eq([])
  end

  it "is not written to the disk of nginx on any route" do
    [rails_storage_proxy_path(blob), routes["the address of the service"].call(blob)].each do |url|
      get url
      expect(response.headers["x-accel-buffering"]).to eq("no")
    end
  end

  it "is private in the application's own controllers, even if they set public caching" do
    sent = blob
    controller = Class.new(ActiveStorage::BaseController) do
      include ActiveStorage::Streaming

      define_method(:show) { http_cache_forever(public: true) { send_blob_stream(sent) } }
      define_method(:part) do
        expires_in 1.hour, public: true
        send_blob_byte_range_data(sent, "bytes=0-1")
      end
    end
    stub_const("OwnController", controller)
    %i[show part].each do |action|
      _, headers, body = controller.action(action).call(Rack::MockRequest.env_for("/"))
      expect(body.enum_for(:each).to_a.join).to eq({ show: "a text", part: "a " }[action])
      expect(headers["cache-control"]).to include("private").and(not_include("public"))
    end
  end

  it "is never a part of the original in place of a representation, of which Rails sends no parts" do
    sent = picture.representation(resize_to_limit: [8, 8]).processed
    controller = Class.new(ActiveStorage::BaseController) do
      include ActiveStorage::Streaming

      define_method(:show) { send_blob_byte_range_data(sent, "bytes=0-1") }
    end
    expect { controller.action(:show).call(Rack::MockRequest.env_for("/")) }.to raise_error(NoMethodError, /byte_size/)
  end

  it "is private for permanent links of a private service" do
    ActiveStorage::Current.set(url_options: { host: "www.example.com" }) { get blob.url(expires_in: nil) }
    expect(response.body).to eq("a text")
    expect_private(at_most: 300)
  end

  it "is private as soon as a service is no longer public" do
    published = store(service_name: "published")
    url = ActiveStorage::Current.set(url_options: { host: "www.example.com" }) { published.url }
    allow(published.service).to receive(:public?).and_return(false)
    get url
    expect(response.body).to eq("a text")
    expect_private(at_most: 300)
  end

  it "stays private at a link with an end, also if the service becomes public" do
    url = ActiveStorage::Current.set(url_options: { host: "www.example.com" }) { blob.url(expires_in: 60) }
    allow(blob.service).to receive(:public?).and_return(true)
    get url
    expect(response.body).to eq("a text")
    expect_private(at_most: 60)
  end

  it "is sent by Rails' proxies without a database connection" do
    sent = blob
    pool = ActiveRecord::Base.connection_pool
    held = []
    %i[download reader].each do |operation|
      allow(sent.service.client).to receive(operation).and_wrap_original do |original, *rest, **more, &block|
        held << pool.active_connection?
        original.call(*rest, **more, &block)
      end
    end
    get rails_storage_proxy_path(sent)
    get rails_storage_proxy_path(sent), headers: { "Range" => "bytes=0-1" }
    expect(response.body).to eq("a ")
    expect(held.size).to eq(2)
    expect(held).to all(be_falsy)
  end

  it "is public for public services, and Rails' own decision for services that do not encrypt" do
    public_url = ActiveStorage::Current.set(url_options: { host: "www.example.com" }) do
      store(service_name: "published").url
    end
    [public_url, rails_storage_proxy_path(store(service_name: "published")),
     rails_storage_proxy_path(store(service_name: "local"))].each do |url|
      get url
      expect(response.body).to eq("a text")
      expect(cache_control).to include("public")
    end
  end

  describe "excludes the responses of Rails' proxies" do
    def failing(status, **headers)
      get rails_storage_proxy_path(@blob), headers: headers
      expect([response.status, response.body]).to eq([status, ""])
      expect(cache_control).to eq(["no-cache"])
      expect(response.headers.to_h.keys.map(&:downcase)).not_to include("etag", "content-disposition")
      expect(response.headers["content-length"]).to be_in([nil, "0"])
    end

    it "to failures before the first byte, which have the same statuses as at links" do
      FaultProxy.run(server.endpoint) do |proxy|
        entry = { service: "EncryptedS3", public: true, **TestStore.settings(endpoint: proxy.endpoint, retry_limit: 0) }
        public_service = ActiveStorage::Service.configure(:published, published: entry)
        allow(ActiveStorage::Blob.services).to receive(:fetch).and_call_original
        allow(ActiveStorage::Blob.services).to receive(:fetch).with("published").and_return(public_service)
        @blob = store(service_name: "published")
        get rails_storage_proxy_path(@blob)
        expect([response.body, cache_control.include?("public")]).to eq(["a text", true])
        proxy.fault("GetObject", times: 1, status: 403, answer: "<Error><Code>InvalidObjectState</Code></Error>")
        failing(409)
        public_service.delete(@blob.key)
        failing(404)
        failing(404, "Range" => "bytes=0-1")
      end
      failing(503)
    end

    it "to a file or a variant that was changed or deleted in the bucket" do
      @blob = store
      headers, body = stored(@blob.key)
      restore(@blob.key, headers, body.tap { |bytes| bytes.setbyte(-1, bytes.getbyte(-1) ^ 1) })
      expect { get rails_storage_proxy_path(@blob) }.to raise_error(ActiveStorage::IntegrityError)
      @blob = picture.representation(resize_to_limit: [8, 8]).processed
      @blob.image.blob.service.delete(@blob.key)
      failing(404)
    end
  end

  it "excludes error responses" do
    get "/rails/active_storage/encrypted_s3/none/a.txt"
    expect(response.headers["cache-control"]).to eq("no-store")
  end
end
