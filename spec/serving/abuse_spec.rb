# frozen_string_literal: true

require_relative "../rails_helper"
require_relative "../support/fault_proxy"
require_relative "../support/puma_server"
require_relative "../support/wire"

# Requests of a hostile client must not return more than its token allows.
RSpec.describe "A client that lies", type: :request do
  let(:data) { "what is in the file" }
  let(:blob) { store(data) }

  def store(data, filename: "a.txt", type: "text/plain", service_name: "encrypted")
    ActiveStorage::Blob.create_and_upload!(io: StringIO.new(data), filename: filename, content_type: type,
                                           service_name: service_name, identify: false)
  end

  def here(&) = ActiveStorage::Current.set(url_options: { host: "www.example.com" }, &)

  def path_of(blob, **) = URI(here { blob.url(**) }).path

  def upload_path(service_name: "encrypted", **changes)
    announced = { filename: "b.txt", byte_size: data.bytesize, checksum: md5(data), content_type: "text/plain" }
    @announced = ActiveStorage::Blob.create_before_direct_upload!(**announced, service_name: service_name, **changes)
    URI(here { @announced.service_url_for_direct_upload }).path
  end

  describe "with a token of another purpose" do
    base = "/rails/active_storage"
    # Each kind of token of such an application, and the only places where it is valid.
    kinds = {
      "of a link" => [:link, %i[read]], "of a direct upload" => [:upload, %i[write]],
      "of a form" => [:form, %i[announce]], "of a blob" => [:signed_id, %i[redirect proxy variant]],
      "of a link of Rails' Disk service" => [:disk_link, %i[disk_read]],
      "of a direct upload of Rails' Disk service" => [:disk_upload, %i[disk_write]],
      "of a variant" => [:variation, []], "of a record" => [:global_id, []]
    }
    places = {
      read: ->(token) { get "#{base}/encrypted_s3/#{token}/a.txt" },
      head: ->(token) { head "#{base}/encrypted_s3/#{token}/a.txt" },
      write: ->(token) { put "#{base}/encrypted_s3/#{token}", params: "attack", headers: { "Content-Type" => "a/b" } },
      announce: lambda { |token|
        post "#{base}/direct_uploads", params: { service_token: token, blob: { filename: "a", byte_size: 6,
                                                                               checksum: md5("attack") } }
      },
      redirect: ->(token) { get "#{base}/blobs/redirect/#{token}/a.txt" },
      proxy: ->(token) { get "#{base}/blobs/proxy/#{token}/a.txt" },
      variant: ->(token) { get "#{base}/representations/redirect/#{token}/#{token}/a.txt" },
      disk_read: ->(token) { get "#{base}/disk/#{token}/a.txt" },
      disk_write: ->(token) { put "#{base}/disk/#{token}", params: "attack", headers: { "Content-Type" => "a/b" } }
    }

    let(:tokens) do
      disk = store(data, service_name: "local")
      { link: path_of(blob).split("/")[-2], upload: upload_path.split("/").last,
        form: EncryptedS3Service::DirectUploads.token(:encrypted), signed_id: blob.signed_id,
        disk_link: path_of(disk).split("/")[-2], disk_upload: upload_path(service_name: "local").split("/").last,
        variation: ActiveStorage::Variation.new({ resize_to_limit: [1, 1] }).key,
        global_id: Document.create!(file: blob.signed_id).to_sgid.to_s }
    end

    kinds.each do |what, (kind, good)|
      (places.keys - good - (good.include?(:read) ? [:head] : [])).each do |place|
        it "finds nothing and stores nothing: a token #{what} to #{place.to_s.tr("_", " ")}" do
          token = URI.encode_uri_component(tokens.fetch(kind))
          before = [server.list(bucket).sort, ActiveStorage::Blob.count]
          instance_exec(token, &places.fetch(place))
          expect(response).to have_http_status(place == :announce ? :forbidden : :not_found)
          expect(response.body).not_to include(data)
          expect([server.list(bucket).sort, ActiveStorage::Blob.count]).to eq(before)
        end
      end
    end

    it "cannot replace it by another token in the query" do
      stranger = store("another file")
      query = { token: path_of(stranger).split("/")[-2], key: stranger.key, service_name: "local" }.to_query
      get "#{path_of(blob)}?#{query}"
      expect(response.body).to eq(data)
    end
  end

  it "gets 404 for a token of which any part was changed, removed or added" do
    token = path_of(blob).split("/")[-2]
    wrong = token.chars.each_index.map { |at| token.dup.tap { |copy| copy[at] = copy[at] == "A" ? "B" : "A" } }
    wrong += [token[1..], token[0..-2], "#{token}A", token.swapcase, token.reverse, token * 2, "", ".", "A", "--",
              "%00"]
    # An initialization vector of the right length in characters, but not in bytes, and no ciphertext at all.
    content, vector, tag = token.split(/--(?=.{16}--.{22}\z|.{22}\z)/)
    wrong += [10, 11].map { |size| [content, Base64.urlsafe_encode64("x" * size), tag].join("--") }
    wrong << ["", vector, tag].join("--")
    wrong.each do |changed|
      get "/rails/active_storage/encrypted_s3/#{changed}/a.txt"
      # A change that keeps the encoded bytes does not change the token.
      next expect(changed[-1]).not_to eq(token[-1]) if response.status == 200

      expect(response).to have_http_status(:not_found), changed
      expect(response.body).not_to include(data)
    end
  end

  it "cannot change the response by a query, a name in the path, or a header" do
    get path_of(blob)
    names = %w[content-type content-disposition content-length content-security-policy x-content-type-options]
    true_answer = [response.status, response.body, response.headers.to_h.slice(*names)]
    path = path_of(blob)
    ["#{path}?disposition=inline&content_type=text%2Fhtml&filename=evil.html&format=html", "#{path}.html",
     "#{path}/x.js", path.sub("a.txt", "evil.html"), path.sub("a.txt", "..%2F..%2Fetc%2Fpasswd"),
     path.sub("a.txt", "a%0D%0AX-Evil:1")]
      .each do |other|
        get other, headers: { "Accept" => "text/html", "X-Sendfile-Type" => "X-Accel-Redirect",
                              "X-Accel-Mapping" => "/=/secret/", "Accept-Language" => "x" * 2000 }
        expect([response.status, response.body, response.headers.to_h.slice(*names)]).to eq(true_answer), other
        expect(response.headers.keys.map(&:downcase)).not_to include("x-evil", "x-accel-redirect", "x-sendfile")
      end
  end

  describe "that searches for files" do
    # A proxy before the store that counts requests.
    def with_counted_requests
      FaultProxy.run(server.endpoint) do |proxy|
        entry = { service: "EncryptedS3", **TestStore.settings(endpoint: proxy.endpoint) }
        counted = ActiveStorage::Service.configure(:counted, counted: entry)
        allow(ActiveStorage::Blob.services).to receive(:fetch).and_call_original
        allow(ActiveStorage::Blob.services).to receive(:fetch).with("counted").and_return(counted)
        yield counted, proxy
      end
    end

    def link(service, key, expires_in: 60)
      options = { filename: ActiveStorage::Filename.new("a.txt"), disposition: :inline, content_type: "text/plain" }
      URI(here { service.url(key, expires_in: expires_in, **options) }).path
    end

    it "cannot find out whether a file exists, by the response or a request to the store, without a valid token" do
      with_counted_requests do |service, proxy|
        service.upload(key = unique_key, StringIO.new(data))
        there, gone = [key, unique_key].map { |name| link(service, name) }
        before = proxy.requests.size
        answers = [there, gone].flat_map do |path|
          [path.sub(%r{encrypted_s3/..}, "encrypted_s3/AA"), path.sub(%r{.{10}(?=/a\.txt)}, "A" * 10)].map do |forged|
            get forged
            [response.status, response.body, response.headers.to_h.except("x-request-id", "x-runtime")]
          end
        end
        answers += travel(2.minutes) do
          [there, gone].map do |path|
            get path
            [response.status, response.body, response.headers.to_h.except("x-request-id", "x-runtime")]
          end
        end
        expect(answers.uniq.size).to eq(1)
        expect(answers.first.first).to eq(404)
        expect(proxy.requests.size).to eq(before)
        get there
        expect(response.body).to eq(data)
        expect(proxy.requests.size).to be > before
      end
    end

    it "gets the same response for a missing file as for an invalid token" do
      here { blob.service.delete(blob.key) }
      answers = [path_of(blob), "/rails/active_storage/encrypted_s3/none/a.txt"].map do |path|
        get path
        [response.status, response.body, response.headers.to_h.except("x-request-id", "x-runtime")]
      end
      expect(answers.uniq.size).to eq(1)
    end

    it "learns from an entity tag neither the key nor whether two files are the same" do
      tags = [blob, store(data)].map do |one|
        get path_of(one)
        response.headers["etag"]
      end
      expect(tags.uniq.size).to eq(2)
      expect(tags).to all(match(/\A"\h{32}"\z/))
      expect(tags).to all(satisfy { |tag| !tag.include?(md5(data).unpack1("m0").unpack1("H*")) })
    end
  end

  it "gets at most the whole file for thousands of parts or numbers without end" do
    path = path_of(blob)
    { "bytes=#{(0..5000).map { |at| "#{at * 2}-#{at * 2}" }.join(",")}" => [200, 416],
      "bytes=#{Array.new(5000, "0-").join(",")}" => [200, 416], "bytes=#{"," * 20_000}" => [200, 416],
      "bytes=#{"0-0," * 9000}x" => [200, 416], "bytes=0-#{"9" * 20_000}" => [206], "bytes=-#{"9" * 20_000}" => [206],
      "bytes=#{"9" * 20_000}-" => [416], "bytes=-0" => [416],
      "bytes=18446744073709551616-18446744073709551617" => [416],
      "bytes=#{" " * 20_000}0-1" => [200, 206, 416], "bytes=0-1#{"\t" * 20_000}" => [200, 206, 416],
      "bytes=#{"a" * 20_000}" => [200, 416], "#{"b" * 20_000}=0-1" => [200] }.each do |range, statuses|
      began = Process.clock_gettime(Process::CLOCK_MONOTONIC)
      get path, headers: { "Range" => range }
      expect(Process.clock_gettime(Process::CLOCK_MONOTONIC) - began).to be < 2, range[0, 60]
      expect(response.status).to be_in(statuses), "#{range[0, 60]}: #{response.status}"
      expect(response.body.bytesize).to be <= data.bytesize
    end
  end

  it "gets at most the whole file for such parts from Rails' own proxy too" do
    ["bytes=#{(0..5000).map { |at| "#{at * 2}-#{at * 2}" }.join(",")}", "bytes=#{Array.new(5000, "0-").join(",")}",
     "bytes=#{"," * 20_000}", "bytes=0-#{"9" * 20_000}", "bytes=-#{"9" * 20_000}", "bytes=#{"9" * 20_000}-", "bytes=-0",
     "bytes=", "bytes=0-1,3-4"].each do |range|
      get rails_storage_proxy_path(blob), headers: { "Range" => range }
      expect(response.status).to be_in([200, 206, 416]), "#{range[0, 60]}: #{response.status}"
      expect(response.body.bytesize).to be <= data.bytesize
    end
  end

  it "is answered at once for a type whose examination could take long" do
    ["a/b#{" " * 100_000}c", "a/b;#{" " * 100_000};", "a/b#{";a=b" * 20_000}\0", "a/#{"b" * 100_000}/"].each do |type|
      service = ActiveStorage::Blob.services.fetch(:encrypted)
      blob.service.upload(key = unique_key, StringIO.new(data))
      options = { filename: ActiveStorage::Filename.new("a.txt"), disposition: :inline, content_type: type }
      path = URI(here { service.url(key, expires_in: 60, **options) }).path
      began = Process.clock_gettime(Process::CLOCK_MONOTONIC)
      get path
      expect(Process.clock_gettime(Process::CLOCK_MONOTONIC) - began).to be < 2
      expect(response.headers["content-type"]).to eq("application/octet-stream")
    end
  end

  describe "that stores content which browsers execute" do
    executed = {
      "a.html" => "text/html", "b.xhtml" => "application/xhtml+xml", "c.svg" => "image/svg+xml", "d.xml" => "text/xml",
      "e.xml" => "application/xml", "f.js" => "text/javascript", "g.js" => "application/javascript",
      "h.mjs" => "application/ecmascript", "i.htc" => "text/x-component", "j.appcache" => "text/cache-manifest",
      "k.mht" => "message/rfc822", "l.mhtml" => "multipart/related", "m.swf" => "application/x-shockwave-flash",
      "n.xsl" => "application/xslt+xml", "o.mml" => "application/mathml+xml", "p.rdf" => "application/rdf+xml",
      "q.pdf" => "application/pdf", "r.wasm" => "application/wasm", "s.css" => "text/css", "t.vtt" => "text/vtt",
      "u.HTML" => "TEXT/HTML", "v.html" => "text/html;charset=utf-7", "w.svg" => "image/svg+xml; charset=utf-8"
    }
    script = "<html><body onload=alert(1)><script>alert(document.cookie)</script>"

    executed.each do |name, type|
      it "cannot have it executed from the application's address: #{type}" do
        file = store(script, filename: name, type: type)
        { "a link" => path_of(file), "a link that asks to show it" => path_of(file, disposition: :inline) }
          .each do |what, path|
            get path
            expect(response.status).to eq(200), what
            headers = response.headers
            expect(headers["x-content-type-options"]).to eq("nosniff")
            policy = headers["content-security-policy"]
            expect(policy).to include("default-src 'none'")
            expect(policy).not_to match(/script-src|unsafe-eval|allow-scripts|allow-top-navigation/)
            expect(policy).to include("sandbox").or eq("default-src 'none'; object-src 'self'")
            shown = headers["content-disposition"].start_with?("inline")
            expect(ActiveStorage.content_types_allowed_inline).to include(headers["content-type"]) if shown
          end
      end
    end
  end

  # CVE-2024-26144: a shared cache would give one visitor's cookie to the next.
  it "gets no cookie of others from a cache: a public response has none, whatever the application sets" do
    controller = EncryptedS3Service::BlobsController
    controller.define_method(:leave_cookies) { cookies[:visitor] = session[:visitor] = "secret" }
    controller.before_action(:leave_cookies)
    controller.after_action(:leave_cookies)
    get path_of(store(data, service_name: "published"))
    expect([response.status, response.body]).to eq([200, data])
    expect(response.headers["cache-control"]).to include("public")
    expect(response.headers.keys.map(&:downcase)).not_to include("set-cookie")
    get path_of(blob)
    expect(response.headers["cache-control"]).to include("private")
    expect(response.headers["set-cookie"].to_s).to include("visitor=secret")
  ensure
    controller.skip_before_action(:leave_cookies)
    controller.skip_after_action(:leave_cookies)
    controller.remove_method(:leave_cookies)
  end

  it "is served normally with thousands of entity tags in its headers" do
    tags = Array.new(5000) { |at| %("#{at}") }.join(",")
    get path_of(blob), headers: { "If-None-Match" => tags, "If-Range" => tags, "Range" => "bytes=0-1" }
    expect([response.status, response.body]).to eq([200, data])
  end

  it "learns neither the key nor the bucket from any error" do
    with_tampered = store(data)
    headers, body = stored(with_tampered.key)
    restore(with_tampered.key, headers, body.tap { |bytes| bytes.setbyte(0, bytes.getbyte(0) ^ 1) })
    # As in production: the application's own page, and not the debugger's.
    shown = Rails.application.env_config.slice("action_dispatch.show_exceptions",
                                               "action_dispatch.show_detailed_exceptions")
    Rails.application.env_config.merge!("action_dispatch.show_exceptions" => :all,
                                        "action_dispatch.show_detailed_exceptions" => false)
    get path_of(with_tampered)
    expect(response).to have_http_status(:internal_server_error)
    expect(response.body).not_to include(with_tampered.key, bucket, data)
  ensure
    Rails.application.env_config.merge!(shown)
  end

  describe "at the application in Puma" do
    around { |example| PumaServer.run(threads: 3) { |puma| (@puma = puma) && example.run } }

    attr_reader :puma

    def answer(verb, path, *headers) = Wire.ask(puma.socket, Wire.request(verb, path, *headers))

    it "gets a status for each request that no browser would send" do
      path = path_of(blob)
      prefix = "/rails/active_storage/encrypted_s3"
      { ["GET", "#{prefix}/%FF/a.txt"] => 400, ["GET", path.sub("a.txt", "%FF")] => 400,
        ["GET", "#{prefix}/%00/a"] => 404,
        ["GET", "#{prefix}/#{"a" * 20_000}/a.txt"] => 400, ["GET", "#{path}?a[]=1&a[b]=2"] => 400,
        ["GET", "#{path}?#{"a=1&" * 20}%"] => 400, ["GET", "#{path}?a#{"[a]" * 200}=1"] => 400,
        ["DELETE", path] => 404, ["TRACE", path] => 404, ["POST", path, "Content-Length: 0"] => 404,
        # Two lines are one list, and its second member is not a range, so that the header is ignored.
        ["GET", path, "Range: bytes=0-1", "Range: bytes=2-3"] => 200,
        ["GET", path, "Cookie: #{"a=b;" * 1000}"] => 200, ["GET", path, "Accept: /;;;,#{"," * 3000}"] => 200,
        ["GET", path, "If-Modified-Since: #{"9" * 1000}"] => 200 }.each do |(verb, where, *headers), status|
        got = answer(verb, where, *headers)
        expect(got.status).to eq(status), "#{verb} #{where[0, 80]} #{headers.join[0, 40]}: #{got.status}"
        expect(got.headers).not_to have_key("set-cookie")
      end
    end

    it "holds no thread if it does not read the file: others are answered meanwhile" do
      large = Tempfile.create { |file| store_io(file.tap { file.truncate(30_000_000) }) }
      visitors = Array.new(12) do
        puma.socket.tap { |socket| socket.write("GET #{path_of(large)} HTTP/1.1\r\nHost: localhost\r\n") }
      end
      expect(answer("GET", path_of(blob)).body).to eq(data)
      visitors.each(&:close)
    end

    def store_io(io)
      ActiveStorage::Blob.create_and_upload!(io: io, filename: "film.mp4", content_type: "video/mp4", identify: false)
    end
  end
end
