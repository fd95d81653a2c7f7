# frozen_string_literal: true

require_relative "../rails_helper"
require_relative "../support/small_app"

# Where an address leads: to the application, at any host and path.
RSpec.describe "The address of a file", type: :request do
  let(:data) { "a text" }
  let(:blob) do
    ActiveStorage::Blob.create_and_upload!(io: StringIO.new(data), filename: "a.txt", service_name: "encrypted")
  end

  describe "under a path that only the request knows" do
    # Like a middleware that takes an account out of the path, or a server that is mounted there.
    def under(prefix, path, method: "GET", **env)
      status, headers, body = Rails.application.call(
        Rack::MockRequest.env_for(path.delete_prefix(prefix), method: method, "SCRIPT_NAME" => prefix, **env)
      )
      [status, headers, body.enum_for(:each).to_a.join].tap { body.close if body.respond_to?(:close) }
    end

    it "includes the path: a link that redirects leads to the file" do
      status, headers, = under("/1234567", rails_storage_redirect_path(blob))
      expect(status).to eq(302)
      path = URI(headers["location"]).path
      expect(path).to start_with("/1234567/rails/active_storage/encrypted_s3/")
      expect(under("/1234567", path).values_at(0, 2)).to eq([200, data])
    end

    it "includes the path in the address of a direct upload" do
      body = { blob: { filename: "a.txt", content_type: "text/plain", byte_size: data.bytesize, checksum: md5(data) } }
      status, _, answer = under("/1234567", rails_direct_uploads_path, method: "POST", input: body.to_json,
                                                                       "CONTENT_TYPE" => "application/json")
      expect(status).to eq(200)
      url, headers = JSON.parse(answer)["direct_upload"].values_at("url", "headers")
      expect(URI(url).path).to start_with("/1234567/rails/active_storage/encrypted_s3/")
      sent, = under("/1234567", URI(url).path, method: "PUT", input: data, "CONTENT_TYPE" => headers["Content-Type"])
      expect(sent).to eq(204)
    end

    it "includes the path for representations, and not that of the request before" do
      _, headers, = under("/1", rails_storage_redirect_path(blob))
      expect(URI(headers["location"]).path).to start_with("/1/rails/")
      _, headers, = under("", rails_storage_redirect_path(blob))
      expect(URI(headers["location"]).path).to start_with("/rails/")
      expect(EncryptedS3Service::Serving::RequestPlace.prefix).to be_nil
    end

    it "does not replace the application's own path" do
      EncryptedS3Service::Serving::RequestPlace::Current.set(environment: { "SCRIPT_NAME" => "/1" }) do
        ActiveStorage::Current.set(url_options: { host: "a.example", script_name: "/2" }) do
          expect(URI(blob.url).path).to start_with("/2/rails/")
        end
      end
    end
  end

  describe "in a controller that does not set Active Storage's url_options" do
    def show(**env)
      sent = blob
      controller = stub_const("PlainController", Class.new(ActionController::Base) do
        define_method(:show) { render plain: sent.url }
      end)
      place = EncryptedS3Service::Serving::RequestPlace.new(controller.action(:show))
      env = Rack::MockRequest.env_for("https://here.example:8443/", **env)
      _, _, body = Rails.application.executor.wrap { place.call(env) }
      body.enum_for(:each).to_a.join
    end

    it "leads to the host of the request" do
      expect(show("SCRIPT_NAME" => "/1")).to start_with("https://here.example:8443/1/rails/active_storage/encrypted_s3/")
    end

    it "prefers the application's own host, if configured, to that of the request" do
      EncryptedS3Service.settings.default_url_options = { host: "own.example" }
      expect(show("HTTP_HOST" => "evil.example")).to start_with("http://own.example/")
    ensure
      EncryptedS3Service.settings.default_url_options = nil
    end
  end

  it "includes the path that the application configures, without an optional part that nothing fills" do
    SmallApp.create do |app|
      app.write("config/environments/development.rb", <<~RUBY)
        Rails.application.config.relative_url_root = "/shop"
        Rails.application.config.active_storage.routes_prefix = "(/:account)/files"
      RUBY
      app.write("config/initializers/place.rb", <<~RUBY)
        Rails.application.config.encrypted_s3_service.default_url_options = { host: "a.example" }
      RUBY
      app.write("config/storage.yml", { "enc" => { "service" => "EncryptedS3", "bucket" => "b", "region" => "r",
                                                   "access_key_id" => "i", "secret_access_key" => "s",
                                                   "encryption_key" => "k" * 32 } }.to_yaml)
      app.write("show.rb", <<~RUBY)
        service = ActiveStorage::Blob.services.fetch(:enc)
        puts service.url("k", expires_in: 60, filename: ActiveStorage::Filename.new("a.txt"), disposition: :inline,
                              content_type: "text/plain")
        puts service.url_for_direct_upload("k", expires_in: 60, content_type: "a/b", content_length: 1, checksum: "c")
      RUBY
      output, = app.rails("runner", "show.rb")
      urls = output.lines.grep(/http/)
      expect(urls.size).to eq(2)
      expect(urls).to all(start_with("http://a.example/shop/files/encrypted_s3/"))
    end
  end

  describe "outside of a request" do
    let(:sources) { EncryptedS3Service::Serving::Host }

    # Every setting that may name a host, emptied.
    around do |example|
      routes = Rails.application.routes
      before = routes.default_url_options.dup
      routes.default_url_options.clear
      example.run
    ensure
      routes.default_url_options.replace(before)
      EncryptedS3Service.settings.default_url_options = nil
    end

    def host = URI(blob.url).host

    # Action Mailer's part of the configuration, which the dummy application lacks.
    def with_mailer(**options)
      config = Rails.application.config
      mailer = ActiveSupport::OrderedOptions.new.merge!(default_url_options: options)
      config.define_singleton_method(:action_mailer) { mailer }
      yield
    ensure
      config.singleton_class.remove_method(:action_mailer)
    end

    it "uses the first of the settings that names a host, the gem's before Rails'" do
      expect { blob.url }.to raise_error(ArgumentError, /a\.txt.*config\.encrypted_s3_service\.default_url_options/)
      config = Rails.application.config
      config.action_controller.default_url_options = { host: "controller.example" }
      expect([host, sources.source]).to eq(["controller.example", "config.action_controller.default_url_options"])
      with_mailer(host: "mailer.example", port: 3000) do
        expect([host, sources.source]).to eq(["mailer.example", "config.action_mailer.default_url_options"])
        expect(URI(blob.url).port).to eq(3000)
        Rails.application.routes.default_url_options[:host] = "routes.example"
        expect([host, sources.source]).to eq(["routes.example", "Rails.application.routes.default_url_options"])
        EncryptedS3Service.settings.default_url_options = { host: "ours.example", protocol: "https" }
        expect([host, sources.source]).to eq(["ours.example", "config.encrypted_s3_service.default_url_options"])
        expect(blob.url).to start_with("https://ours.example/rails/")
        ActiveStorage::Current.set(url_options: { host: "current.example" }) { expect(host).to eq("current.example") }
      end
    ensure
      config.action_controller.delete(:default_url_options)
    end

    it "skips a setting without a host, as force_ssl leaves one" do
      with_mailer(protocol: "https") do
        expect { blob.url }.to raise_error(ArgumentError, /no host is known/)
        expect(sources.source).to be_nil
      end
    end

    it "begins with https: if the application allows only that" do
      EncryptedS3Service.settings.default_url_options = { host: "ours.example" }
      allow(Rails.application.config).to receive(:force_ssl).and_return(true)
      expect(blob.url).to start_with("https://ours.example/")
    end

    it "works for jobs, variants and direct uploads, and opens the file" do
      EncryptedS3Service.settings.default_url_options = { host: "www.example.com" }
      job = Class.new(ActiveJob::Base) do
        cattr_accessor :urls
        def perform(blob) = self.class.urls = [blob.url, blob.service_url_for_direct_upload]
      end
      stub_const("UrlJob", job)
      UrlJob.perform_now(blob)
      expect(UrlJob.urls).to all(start_with("http://www.example.com/rails/active_storage/encrypted_s3/"))
      get UrlJob.urls.first
      expect(response.body).to eq(data)
    end
  end

  describe "contains the file name once and stays short:" do
    def url_of(name)
      ActiveStorage::Current.set(url_options: { host: "www.example.com" }) do
        service = ActiveStorage::Blob.services.fetch(:encrypted)
        service.upload(key = unique_key, StringIO.new(data)) unless @key
        @key ||= key
        service.url(@key, expires_in: 60, filename: ActiveStorage::Filename.new(name), disposition: :attachment,
                          content_type: "text/plain")
      end
    end

    # The file name that a browser uses (RFC 6266, section 4.3).
    def name_told
      URI.decode_uri_component(response.headers["content-disposition"][/filename\*=UTF-8''(\S+)\z/, 1].to_s)
    end

    names = {
      "240 Hebrew letters" => "#{"ש" * 240}.pdf", "255 bytes" => "#{"a" * 251}.txt", "255 emoji" => "😀" * 255,
      "255 letters of three bytes" => "漢" * 255, "quotes" => %(a"b'c.txt), "spaces" => " a  b.txt ",
      "dots" => "..", "one dot" => ".", "a hidden file" => ".env", "percent signs" => "100%25.txt",
      "a question mark and a hash" => "a?b#c.txt", "a semicolon" => "a;b.txt", "plus and ampersand" => "a+b&c.txt",
      "a NUL" => "a\0b.txt", "line ends" => "a\r\nSet-Cookie: x=1\r\n.txt",
      "a right-to-left mark" => "a\u{202E}gpj.exe", "other marks of direction" => "a\u200Fb\u2066.txt",
      "slashes" => "../../etc/passwd", "a backslash" => "a\\b.txt",
      "nothing" => "", "combining marks" => "e\u0301.txt", "bytes that are no text" => "a\xFF.txt"
    }

    names.each do |what, name|
      it "a name of #{what}" do
        url = url_of(name)
        expect(url.bytesize).to be < 2000
        expect(url).to match(%r{\A[A-Za-z0-9:/._~%()+@,=!-]+\z})
        get url
        expect(response.body).to eq(data)
        expect(name_told).to eq(ActiveStorage::Filename.new(name).to_s)
        expect(response.headers["content-disposition"]).not_to match(/[[:cntrl:]]/)
        expect(response.headers.keys.map(&:downcase)).not_to include("set-cookie")
      end
    end

    it "a short and plain name is shown" do
      expect(url_of("Zoë's film (1).mp4")).to end_with("/file.mp4")
      expect(url_of("Zoë (1).mp4")).to end_with("/Zo%C3%AB%20(1).mp4")
      expect(url_of("#{"ש" * 240}.pdf")).to end_with("/file.pdf")
    end

    it "a long key, a long type and a tenant's service fit" do
      url = ActiveStorage::Current.set(url_options: { host: "www.example.com" }) do
        EncryptedS3Service::Serving::Urls.new("encrypted_amazon@#{"a" * 40}")
                                         .blob("k" * 100, filename: "ש" * 240, content_type: "application/#{"x" * 90}",
                                                          disposition: :inline, expires_in: 300)
      end
      expect(url.bytesize).to be < 2000
    end
  end

  it "has only characters that need no escaping, and shows neither key nor service" do
    ActiveStorage::Current.set(url_options: { host: "www.example.com" }) do
      50.times do
        token = blob.url.split("/")[-2]
        expect(token).to match(/\A[A-Za-z0-9_-]+\z/)
        readable = token.split("--").map { |part| part.tr("-_", "+/").unpack1("m") }.join
        expect(readable.b).not_to include(blob.key)
        expect(readable.b).not_to include("encrypted")
      end
    end
  end

  it "stays valid when the application's secret changes, if the former one is configured" do
    token = EncryptedS3Service::Serving::Token
    payload = { key: blob.key, service_name: "encrypted" }
    former = token.generate(payload, purpose: token::BLOB, expires_in: nil)
    changed = token.dup
    changed.remove_instance_variable(:@encryptors)
    allow(Rails.application).to receive(:secret_key_base).and_return("1" * 64)
    expect(changed.verify(former, purpose: token::BLOB)).to be_nil
    changed.remove_instance_variable(:@encryptors)
    changed.rotate(secret_key_base: "0" * 64)
    expect(changed.verify(former, purpose: token::BLOB)).to eq(payload)
  end

  describe "of a film or a recording" do
    def address(type, **options)
      blob = ActiveStorage::Blob.create_and_upload!(io: StringIO.new("x" * 100), filename: "film.mp4", identify: false,
                                                    content_type: type, service_name: "encrypted")
      ActiveStorage::Current.set(url_options: { host: "www.example.com" }) { blob.url(**options) }
    end

    it "stays valid while a player requests it part by part" do
      %w[video/mp4 audio/mpeg audio/webm;codecs=opus].each do |type|
        url = address(type)
        get url, headers: { "Range" => "bytes=0-9" }
        etag = response.headers["etag"]
        travel(5.hours) { get url, headers: { "Range" => "bytes=50-59", "If-Range" => etag } }
        expect([response.status, response.body]).to eq([206, "x" * 10])
        expect(response.headers["etag"]).to eq(etag)
        travel(7.hours) { get url, headers: { "Range" => "bytes=50-59" } }
        expect(response).to have_http_status(:not_found)
      end
    end

    it "is valid for the configured time, or for the explicit one" do
      EncryptedS3Service.settings.media_urls_expire_in = 10.minutes
      url = address("video/mp4")
      travel(9.minutes) { get url }
      expect(response).to have_http_status(:ok)
      travel(11.minutes) { get url }
      expect(response).to have_http_status(:not_found)
      # The last two are that of other files, but explicit.
      [1.minute, 5.minutes, 300].each do |time|
        short = address("video/mp4", expires_in: time)
        travel(time.seconds + 1.minute) { get short }
        expect(response).to have_http_status(:not_found)
      end
    ensure
      EncryptedS3Service.settings.media_urls_expire_in = nil
    end

    it "is valid for the ordinary time for any other file" do
      url = address("application/pdf")
      travel(6.minutes) { get url }
      expect(response).to have_http_status(:not_found)
    end
  end
end
