# frozen_string_literal: true

require_relative "../rails_helper"

# Pages of other origins: the permissions of their scripts, and the pages that may show files in a frame.
RSpec.describe "Pages of other origins", type: :request do
  let(:data) { "a text" }
  let(:blob) do
    ActiveStorage::Blob.create_and_upload!(io: StringIO.new(data), filename: "a.txt", service_name: "encrypted")
  end
  let(:app_origin) { "https://app.example.com" }

  def with(**settings)
    given = EncryptedS3Service.settings
    before = settings.keys.to_h { |name| [name, given[name]] }
    given.merge!(settings)
    yield
  ensure
    given.merge!(before)
  end

  def url
    @url ||= ActiveStorage::Current.set(url_options: { host: "www.example.com" }) { blob.url }
  end

  def upload_url
    @upload_url ||= ActiveStorage::Current.set(url_options: { host: "www.example.com" }) do
      ActiveStorage::Blob.create_before_direct_upload!(
        filename: "a.txt", byte_size: data.bytesize, checksum: md5(data), content_type: "text/plain",
        service_name: "encrypted"
      ).service_url_for_direct_upload
    end
  end

  def ask_first(url, method, origin: app_origin, headers: nil)
    more = { "Access-Control-Request-Method" => method, "Access-Control-Request-Headers" => headers }.compact
    options url, headers: { "Origin" => origin, **more }
  end

  def allowed_origin = response.headers["access-control-allow-origin"]

  describe "by default" do
    it "cannot send or read" do
      [[upload_url, "PUT"], [url, "GET"], [rails_direct_uploads_path, "POST"]].each do |address, method|
        ask_first(address, method)
        expect(response).to have_http_status(:not_found)
        expect(allowed_origin).to be_nil
      end
      get url, headers: { "Origin" => app_origin }
      expect(response.headers.keys.map(&:downcase).grep(/\Aaccess-control/)).to eq([])
    end
  end

  describe "that are listed" do
    around { |example| with(cors_origins: [app_origin, %r{https://\w+\.example\.org}]) { example.run } }

    it "can announce and send direct uploads" do
      ask_first(upload_url, "PUT", headers: "content-type")
      expect(response).to have_http_status(:no_content)
      expect(response.headers).to include("access-control-allow-origin" => app_origin,
                                          "access-control-allow-methods" => "PUT", "vary" => "Origin",
                                          "access-control-allow-headers" => include("Content-Type"))
      put upload_url, params: data, headers: { "Content-Type" => "text/plain", "Origin" => app_origin }
      expect([response.status, allowed_origin]).to eq([204, app_origin])
      ask_first(rails_direct_uploads_path, "POST", headers: "content-type,x-csrf-token,x-requested-with")
      expect(response.headers["access-control-allow-headers"].downcase).to include("x-csrf-token", "content-type")
      post rails_direct_uploads_path, params: { blob: { filename: "a", byte_size: 1, checksum: md5("x") } },
                                      headers: { "Origin" => app_origin }
      expect([response.status, allowed_origin]).to eq([200, app_origin])
    end

    it "can announce them in an application with forgery protection, and others cannot" do
      with_forgery_protection do
        expect(announce_from(app_origin)).to eq([200, app_origin])
        expect(announce_from("https://other.example.com")).to eq([422, nil])
      end
    end

    it "cannot announce them in the name of a visitor, also where every origin is listed" do
      with_forgery_protection do
        [app_origin, "*"].each do |listed|
          EncryptedS3Service.settings.cors_origins = listed
          expect(announce_from(app_origin, "Cookie" => "_session=1").first).to eq(422)
        end
      end
    end

    def with_forgery_protection
      ActionController::Base.allow_forgery_protection = true
      yield
    ensure
      ActionController::Base.allow_forgery_protection = false
    end

    def announce_from(origin, **headers)
      post rails_direct_uploads_path, params: { blob: { filename: "a", byte_size: 1, checksum: md5("x") } },
                                      headers: { "Origin" => origin, **headers }
      [response.status, allowed_origin]
    end

    it "can read files and parts of them, and the headers that scripts need" do
      ask_first(url, "GET", headers: "range")
      expect(response.headers["access-control-allow-headers"]).to include("Range")
      get url, headers: { "Origin" => "https://shop.example.org", "Range" => "bytes=0-1" }
      expect([response.status, allowed_origin]).to eq([206, "https://shop.example.org"])
      expect(response.headers["access-control-expose-headers"]).to include("Content-Range", "ETag")
      expect(response.headers["vary"]).to include("Origin")
    end

    it "can follow the links of a page, which are Rails' own" do
      [rails_storage_redirect_path(blob), rails_storage_proxy_path(blob)].each do |path|
        get path, headers: { "Origin" => app_origin }
        expect([response.status / 100, allowed_origin]).to eq([path.include?("redirect") ? 3 : 2, app_origin])
      end
    end

    it "can send preflights for those links with headers of their own, as viewers of PDF files do" do
      [rails_storage_redirect_path(blob), rails_storage_proxy_path(blob), url,
       "/rails/active_storage/representations/redirect/a/b/c.png"].each do |path|
        ask_first(path, "GET", headers: "if-none-match,range,x-requested-with")
        expect([response.status, allowed_origin]).to eq([204, app_origin]), path
        allowed = response.headers["access-control-allow-headers"]
        expect(allowed).to include("Range", "If-None-Match", "X-Requested-With")
        ask_first(path, "GET", origin: "https://evil.example")
        expect([response.status, allowed_origin]).to eq([404, nil]), path
      end
    end

    it "can read the status of refusals" do
      put upload_url, params: "#{data}x", headers: { "Content-Type" => "text/plain", "Origin" => app_origin }
      expect([response.status, allowed_origin]).to eq([422, app_origin])
      get "#{url}x".sub("encrypted_s3/", "encrypted_s3/x"), headers: { "Origin" => app_origin }
      expect([response.status, allowed_origin]).to eq([404, app_origin])
    end

    it "are only those, not others and not similar names" do
      ["https://evil.example", "https://app.example.com.evil.example", "http://app.example.com", "null", "",
       "https://a.example.org.evil.example", "https://evil.example/https://a.example.org", "*"].each do |origin|
        ask_first(upload_url, "PUT", origin: origin)
        expect([response.status, allowed_origin]).to eq([404, nil]), origin
        get url, headers: { "Origin" => origin }
        expect([response.status, allowed_origin]).to eq([200, nil]), origin
        expect(response.headers["vary"]).to include("Origin")
      end
    end

    it "may be listed with the default port, which browsers leave out" do
      with(cors_origins: ["https://shop.example.com:443", "http://Shop.example.com:80", "https://example.com:80"]) do
        %w[https://shop.example.com http://shop.example.com https://example.com].each do |origin|
          get url, headers: { "Origin" => origin }
          expect(allowed_origin).to eq(origin.include?("shop") ? origin : nil)
        end
      end
    end

    it "are not allowed to send cookies" do
      ask_first(upload_url, "PUT")
      expect(response.headers).not_to have_key("access-control-allow-credentials")
    end
  end

  it "can be all origins" do
    with(cors_origins: "*") do
      get url, headers: { "Origin" => "https://any.example" }
      expect(allowed_origin).to eq("https://any.example")
    end
  end

  describe "allowed for frames" do
    def told
      get url
      policy = response.headers["content-security-policy"]
      [policy[/frame-ancestors ([^;]*)/, 1], response.headers["x-frame-options"]]
    end

    it "follow the application's default" do
      expect(told).to eq([nil, "SAMEORIGIN"])
    end

    it "are those of the setting" do
      with(frame_ancestors: ["'self'", "https://portal.example.com"]) do
        expect(told).to eq(["'self' https://portal.example.com", nil])
      end
      with(frame_ancestors: "'none'") { expect(told).to eq(["'none'", "DENY"]) }
      with(frame_ancestors: "'self'") { expect(told).to eq(["'self'", "SAMEORIGIN"]) }
    end

    it "still run no script" do
      with(frame_ancestors: "https://portal.example.com") do
        get url
        expect(response.headers["content-security-policy"]).to include("default-src 'none'", "sandbox")
      end
    end
  end
end
