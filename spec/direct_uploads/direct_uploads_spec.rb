# frozen_string_literal: true

require_relative "../rails_helper"

# The requests of Active Storage's JavaScript, one by one.
RSpec.describe "A direct upload", type: :request do
  let(:data) { random_bytes(2.megabytes) }

  # @return [Hash] the response for the browser: id, key, and `direct_upload` with `url` and `headers`
  def announce(data, type: "video/mp4", name: "film.mp4", **changes)
    post rails_direct_uploads_path, params: { blob: { filename: name, content_type: type, byte_size: data.bytesize,
                                                      checksum: md5(data), **changes } }, as: :json
    expect(response).to have_http_status(:ok)
    response.parsed_body
  end

  def send_file(announced, data, headers = {})
    upload = announced["direct_upload"]
    put upload["url"], params: data, headers: upload["headers"].merge(headers)
  end

  def stored_key?(announced) = server.head(bucket, announced["key"])[0] == 200

  it "is encrypted by the application, and a form attaches it" do
    announced = announce(data)
    expect(URI(announced["direct_upload"]["url"]).host).to eq("www.example.com")
    expect(announced["direct_upload"]["headers"]).to eq("Content-Type" => "video/mp4")
    send_file(announced, data)
    expect(response).to have_http_status(:no_content)
    expect(stored_plaintext(announced["key"])).to be_bytes(data)
    document = Document.create!(file: announced["signed_id"])
    expect(document.file.download).to be_bytes(data)
  end

  it "shows neither the browser nor the log a key or a place in the bucket" do
    announced = announce(data)
    expect(announced["direct_upload"].to_s).not_to include(bucket)
    expect(announced["direct_upload"].to_s).not_to include(announced["key"])
  end

  it "accepts any content, also content that looks like the parameters of a request" do
    { "application/json" => %({"not": "quite), "application/x-www-form-urlencoded" => "a[]=1&a[b]=%",
      "multipart/form-data" => "no boundary", "text/plain" => "ä".encode("UTF-16LE").b }.each do |type, text|
      announced = announce(text, type: type)
      send_file(announced, text)
      expect(response).to have_http_status(:no_content)
      expect(stored_plaintext(announced["key"])).to eq(text.b)
    end
  end

  refused = {
    "other bytes of the same length" => ->(data) { [data.reverse, {}] },
    "fewer bytes" => ->(data) { [data.byteslice(0...-1), {}] },
    "more bytes" => ->(data) { ["#{data}x", {}] },
    "another type" => ->(data) { [data, { "Content-Type" => "video/webm" }] },
    "a false length" => ->(data) { [data.byteslice(0, 1000), { "Content-Length" => data.bytesize.to_s }] }
  }

  refused.each do |what, change|
    it "refuses #{what} and stores nothing" do
      announced = announce(data)
      send_file(announced, *change.call(data))
      expect(response.status).to eq(422)
      expect(stored_key?(announced)).to be(false)
    end
  end

  it "refuses an invalid type" do
    announced = announce(data)
    send_file(announced, data, "Content-Type" => "/")
    expect(response.status).to eq(422)
    expect(stored_key?(announced)).to be(false)
  end

  it "refuses a file without a checksum" do
    service = ActiveStorage::Blob.services.fetch(:encrypted)
    url = ActiveStorage::Current.set(url_options: { host: "www.example.com" }) do
      service.url_for_direct_upload(key = unique_key, expires_in: 60, content_type: "a/b", content_length: 1,
                                                      checksum: nil).tap { @key = key }
    end
    put url, params: "x", headers: { "Content-Type" => "a/b" }
    expect(response.status).to eq(422)
    expect(server.head(bucket, @key)[0]).to eq(404)
  end

  it "keeps the stored file when a later one is refused" do
    announced = announce(data)
    send_file(announced, data)
    send_file(announced, data.reverse)
    expect(response.status).to eq(422)
    expect(stored_plaintext(announced["key"])).to be_bytes(data)
  end

  it "is not found with a token that has expired, was changed, or has another purpose" do
    announced = announce(data)
    travel(ActiveStorage.service_urls_expire_in + 1.minute) { send_file(announced, data) }
    expect(response).to have_http_status(:not_found)
    url = announced["direct_upload"]["url"]
    put "#{url}x", params: data, headers: { "Content-Type" => "video/mp4" }
    expect(response).to have_http_status(:not_found)
    token = ActiveStorage.verifier.generate({ key: announced["key"], service_name: "encrypted" }, purpose: :blob_token)
    put url.sub(%r{[^/]+\z}, token), params: data, headers: { "Content-Type" => "video/mp4" }
    expect(response).to have_http_status(:not_found)
    expect(stored_key?(announced)).to be(false)
  end

  it "sends no request to the store before the browser sends the file" do
    announced = announce(data)
    expect(stored_key?(announced)).to be(false)
  end
end
