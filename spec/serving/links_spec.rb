# frozen_string_literal: true

require_relative "../rails_helper"

# A link to a file leads to the application, which decrypts it.
RSpec.describe "A link to a file", type: :request do
  let(:data) { random_bytes(3.megabytes) }
  let(:blob) { store(data, "film.mp4", "video/mp4") }

  def store(data, filename, content_type, service_name: "encrypted")
    ActiveStorage::Blob.create_and_upload!(io: StringIO.new(data), filename: filename, content_type: content_type,
                                           service_name: service_name, identify: false)
  end

  # The address that the redirect of Active Storage leads to.
  def address_of(blob, **options)
    get rails_storage_redirect_path(blob, **options)
    expect(response).to have_http_status(:found)
    response.location
  end

  def fetch(headers = {}, blob: self.blob, **options)
    get address_of(blob, **options), headers: headers
    response.body.b
  end

  describe "that redirects" do
    it "leads to an address of the application, not of the store, that does not show the key" do
      address = URI(address_of(blob))
      expect(address.host).to eq("www.example.com")
      expect(address.path).to start_with("/rails/active_storage/encrypted_s3/").and(end_with("/film.mp4"))
      expect(address.to_s).not_to include(blob.key)
    end

    it "returns the file with its type, name and size" do
      expect(fetch).to be_bytes(data)
      expect(response).to have_http_status(:ok)
      expect(response.headers).to include(
        "content-type" => "video/mp4", "content-length" => data.bytesize.to_s, "accept-ranges" => "bytes",
        "content-disposition" => %(attachment; filename="film.mp4"; filename*=UTF-8''film.mp4)
      )
    end

    it "shows a file in the browser if Active Storage allows it" do
      fetch(blob: store("a picture", "Zoë.png", "image/png"))
      expect(response.headers["content-disposition"])
        .to eq(%(inline; filename="Zoe.png"; filename*=UTF-8''Zo%C3%AB.png))
    end

    it "returns the file as an attachment if the link says so" do
      fetch(blob: store("a picture", "a.png", "image/png"), disposition: "attachment")
      expect(response.headers["content-disposition"]).to start_with("attachment; ")
    end

    it "returns pages and drawings that may contain scripts only as attachments, whatever the link says" do
      { "text/html" => "page.html", "image/svg+xml" => "drawing.svg" }.each do |type, name|
        fetch(blob: store("<script>", name, type), disposition: "inline")
        expect(response.headers).to include("content-disposition" => start_with("attachment; "),
                                            "content-type" => "application/octet-stream")
      end
    end

    it "prevents browsers from guessing another type and from running the content" do
      fetch
      expect(response.headers).to include("x-content-type-options" => "nosniff",
                                          "content-security-policy" => include("default-src 'none'", "sandbox"))
    end

    it "prevents browsers from guessing also in an application without Rails' default headers" do
      before = ActionDispatch::Response.default_headers
      ActionDispatch::Response.default_headers = {}
      fetch
      expect(response.headers).to include("x-content-type-options" => "nosniff")
    ensure
      ActionDispatch::Response.default_headers = before
    end

    it "returns an empty file" do
      expect(fetch(blob: store("", "empty.txt", "text/plain"))).to eq("")
      expect(response.headers["content-length"]).to eq("0")
    end

    it "returns a variant without a row in the database" do
      service = ActiveStorage::Blob.services.fetch(:encrypted)
      service.upload(key = "variants/#{SecureRandom.hex}/x", StringIO.new("a variant"))
      ActiveStorage::Current.set(url_options: { host: "www.example.com" }) do
        get service.url(key, expires_in: 60, filename: ActiveStorage::Filename.new("x.png"), disposition: :inline,
                             content_type: "image/png")
      end
      expect(response.body).to eq("a variant")
    end

    it "sets no cookie" do
      fetch
      expect(response.headers).not_to have_key("set-cookie")
    end
  end

  describe "of which a player requests parts" do
    ranges = {
      "the first byte" => ["bytes=0-0", 0..0],
      "bytes in the middle" => ["bytes=1000000-1000099", 1_000_000..1_000_099],
      "the last byte" => ["bytes=3145727-3145727", 3_145_727..3_145_727],
      "the last 500 bytes" => ["bytes=-500", 3_145_228..3_145_727],
      "everything from a byte on" => ["bytes=2097152-", 2_097_152..3_145_727],
      "bytes of a unit in capitals" => ["Bytes=5-6", 5..6],
      "everything by a range" => ["bytes=0-", 0..3_145_727],
      "more than there is" => ["bytes=3145700-9999999", 3_145_700..3_145_727]
    }

    ranges.each do |what, (header, range)|
      it "returns #{what}" do
        expect(fetch({ "Range" => header })).to be_bytes(data[range])
        expect(response).to have_http_status(:partial_content)
        expect(response.headers).to include(
          "content-range" => "bytes #{range.begin}-#{range.end}/3145728", "content-length" => range.size.to_s,
          "content-type" => "video/mp4"
        )
      end
    end

    it "returns the size when the part begins past the end" do
      expect(fetch({ "Range" => "bytes=3145728-" })).to eq("")
      expect(response).to have_http_status(:range_not_satisfiable)
      expect(response.headers).to include("content-range" => "bytes */3145728", "cache-control" => "no-store")
    end

    it "returns the whole file when the header is invalid" do
      ["bytes=5-1", "bytes=a", "bytes=a-b", "bytes=+1-2", "bytes=0-1;x", "pages=1-2"].each do |header|
        expect(fetch({ "Range" => header })).to be_bytes(data)
        expect(response).to have_http_status(:ok)
      end
    end

    it "refuses several parts like Active Storage" do
      fetch({ "Range" => "bytes=0-1,5-6" })
      expect(response).to have_http_status(:range_not_satisfiable)
    end

    it "returns several parts if the application allows them", if: ActiveStorage.respond_to?(:streaming_max_ranges) do
      allowed = ActiveStorage.streaming_max_ranges
      ActiveStorage.streaming_max_ranges = 2
      body = fetch({ "Range" => "bytes=0-1,5-6" })
      boundary = response.headers["content-type"][%r{\Amultipart/byteranges; boundary=(\h+)\z}, 1]
      parts = body.split("\r\n--#{boundary}")
      expect(parts[1]).to end_with("\r\n\r\n".b + data[0..1]).and(include("Content-Range: bytes 0-1/3145728"))
      expect(parts[2]).to end_with("\r\n\r\n".b + data[5..6]).and(include("Content-Type: video/mp4"))
      expect(response.headers["content-length"]).to eq(body.bytesize.to_s)
    ensure
      ActiveStorage.streaming_max_ranges = allowed
    end

    it "returns a part only of the version of which the player has the rest" do
      fetch
      etag = response.headers["etag"]
      expect(fetch({ "Range" => "bytes=0-9", "If-Range" => etag })).to be_bytes(data[0..9])
      expect(fetch({ "Range" => "bytes=0-9", "If-Range" => %("another") })).to be_bytes(data)
    end

    it "returns nothing if the client requires another version (If-Match)" do
      address = address_of(blob)
      get address
      etag = response.headers["etag"]
      answers = [etag, "*", %("x", #{etag}), %("x"), "W/#{etag}"].map do |wanted|
        get address, headers: { "Range" => "bytes=0-9", "If-Match" => wanted }
        head address, headers: { "If-Match" => wanted } if response.status == 412
        [response.status, response.body.bytesize]
      end
      expect(answers).to eq([[206, 10], [206, 10], [206, 10], [412, 0], [412, 0]])
      get address, headers: { "If-Match" => %("x"), "If-None-Match" => etag }
      expect(response).to have_http_status(:precondition_failed)
      expect(response.headers["cache-control"]).to eq("no-store")
    end
  end

  describe "of which a browser has a copy" do
    it "is answered with 304 while the object is the same, and with the file when it was replaced" do
      address = address_of(blob)
      get address
      etag = response.headers["etag"]
      expect(etag).to match(/\A"\h{32}"\z/)
      ["#{etag}, \"x\"", "W/#{etag}", "*"].each do |known|
        get address, headers: { "If-None-Match" => known }
        expect(response).to have_http_status(:not_modified)
        expect(response.body).to be_empty
      end
      blob.service.upload(blob.key, StringIO.new("replaced"))
      get address, headers: { "If-None-Match" => etag }
      expect(response.body).to eq("replaced")
      expect(response.headers["etag"]).not_to eq(etag)
    end

    it "can be kept only by that browser, and no longer than the link is valid" do
      fetch(blob: store("text", "a.txt", "text/plain"))
      age = response.headers["cache-control"][/\Amax-age=(\d+), private, no-transform\z/, 1].to_i
      expect(age).to be_between(1, ActiveStorage.service_urls_expire_in.to_i)
    end
  end

  describe "that is requested by HEAD" do
    it "returns all headers without reading the file" do
      address = address_of(blob)
      head address
      expect(response.headers).to include("content-length" => "3145728", "content-type" => "video/mp4",
                                          "etag" => /\A"\h{32}"\z/, "accept-ranges" => "bytes")
      expect(response.body).to be_empty
      # HEAD also works for an object that cannot be decrypted.
      tamper(blob)
      head address
      expect(response).to have_http_status(:ok)
    end
  end

  def tamper(blob)
    headers, body = stored(blob.key)
    restore(blob.key, headers, body.tap { |bytes| bytes.setbyte(-20, bytes.getbyte(-20) ^ 1) })
  end

  describe "that is not valid" do
    it "is 404 after its time" do
      address = address_of(store("text", "a.txt", "text/plain"))
      travel(ActiveStorage.service_urls_expire_in + 1.second) { get address }
      expect(response).to have_http_status(:not_found)
      expect(response.headers["cache-control"]).to eq("no-store")
    end

    it "is 404 when it was changed" do
      path = URI(address_of(blob)).path
      get path.sub(%r{encrypted_s3/(.)}) { "encrypted_s3/#{Regexp.last_match(1) == "A" ? "B" : "A"}" }
      expect(response).to have_http_status(:not_found)
    end

    it "is 404 when the file is missing" do
      address = address_of(blob)
      blob.service.delete(blob.key)
      get address
      expect(response).to have_http_status(:not_found)
      head address
      expect(response).to have_http_status(:not_found)
    end

    it "is 404 when it was made for another purpose or for another kind of service" do
      payload = { key: blob.key, service_name: "encrypted", content_type: "a/b", disposition: "inline" }
      tokens = [ActiveStorage.verifier.generate(payload, purpose: :blob_key),
                ActiveStorage.verifier.generate(payload, purpose: :encrypted_s3_direct_upload),
                ActiveStorage.verifier.generate(payload, purpose: :encrypted_s3_service_token),
                *%w[local unknown].map do |name|
                  ActiveStorage.verifier.generate({ **payload, service_name: name }, purpose: :encrypted_s3_blob)
                end]
      tokens.each do |token|
        get "/rails/active_storage/encrypted_s3/#{token}/film.mp4"
        expect(response).to have_http_status(:not_found)
      end
    end

    it "is an error without any byte of the file when the object was changed in the bucket" do
      tamper(blob)
      address = address_of(blob)
      expect { get address }.to raise_error(ActiveStorage::IntegrityError, /#{blob.key}/)
    end
  end

  it "of the proxy and of a public service returns the same file, permanently" do
    get rails_storage_proxy_path(blob)
    expect(response.body.b).to be_bytes(data)

    address = address_of(store(data, "film.mp4", "video/mp4", service_name: "published"))
    travel(10.years) { get address }
    expect(response.body.b).to be_bytes(data)
    expect(response.headers["cache-control"]).to include("public")
    expect(stored_plaintext(ActiveStorage::Blob.last.key)).to be_bytes(data)
  end

  it "cannot be made without a host, and the error says what is missing" do
    expect { blob.url }.to raise_error(ArgumentError, /film\.mp4.*ActiveStorage::Current\.url_options/)
  end
end
