# frozen_string_literal: true

require_relative "../rails_helper"

RSpec.describe "Serving files through the application", type: :request do
  let(:data) { random_bytes(6.megabytes) }
  let(:document) do
    Document.create!(file: { io: StringIO.new(data), filename: "film.mp4", content_type: "video/mp4" })
  end

  it "sends the plaintext with the file's type and name" do
    get rails_storage_proxy_path(document.file)
    expect(response).to have_http_status(:ok)
    expect(response.body.b).to be_bytes(data)
    expect(response.headers).to include("content-type" => "video/mp4", "content-length" => data.bytesize.to_s,
                                        "content-disposition" => include("film.mp4"))
  end

  it "sends a player the requested part" do
    get rails_storage_proxy_path(document.file), headers: { "range" => "bytes=1000000-1000099" }
    expect(response).to have_http_status(:partial_content)
    expect(response.body.b).to be_bytes(data.byteslice(1_000_000, 100))
    expect(response.headers["content-range"]).to eq("bytes 1000000-1000099/#{data.bytesize}")
  end

  # Rails refuses more than 100 MiB, which it would hold in memory. Players request a whole film as one part.
  it "sends a part of any size, a chunk at a time" do
    if ActiveStorage.respond_to?(:streaming_chunk_max_size)
      limit = ActiveStorage.streaming_chunk_max_size
      ActiveStorage.streaming_chunk_max_size = 1.megabyte
    end
    environment = Rack::MockRequest.env_for(rails_storage_proxy_url(document.file), "HTTP_RANGE" => "bytes=10-")
    status, headers, body = Rails.application.call(environment)
    chunks = body.enum_for(:each).to_a
    expect(status).to eq(206)
    expect(chunks.join).to be_bytes(data.byteslice(10..))
    expect(chunks.map(&:bytesize).max).to be <= 1.megabyte
    expect(headers).to include("content-type" => "video/mp4", "content-range" => "bytes 10-6291455/6291456",
                               "content-length" => "6291446", "accept-ranges" => "bytes",
                               "content-disposition" => include("film.mp4"))
  ensure
    body&.close
    ActiveStorage.streaming_chunk_max_size = limit if limit
  end

  it "limits the number of parts as Active Storage does, on older versions of Rails too" do
    # The behaviour of versions before the releases of spring 2026.
    if ActiveStorage::Streaming.private_method_defined?(:ranges_valid?)
      allow_any_instance_of(ActiveStorage::Blobs::ProxyController).to receive(:ranges_valid?).and_return(true)
    end
    get rails_storage_proxy_path(document.file), headers: { "range" => "bytes=0-9,20-29" }
    expect([response.status, response.body]).to eq([416, ""])
  end

  it "refuses a part outside of the file, and a header that is not valid, with its size" do
    ["bytes=6291456-", "bytes=a-b", "bytes=5-2", "seconds=0-1"].each do |range|
      get rails_storage_proxy_path(document.file), headers: { "range" => range }
      expect([response.status, response.body, response.headers["content-range"]]).to eq([416, "", "bytes */6291456"])
      expect(response.headers["cache-control"]).to eq("no-cache")
    end
  end

  it "sends the part that is there if the file is shorter than its row says" do
    document.file.blob.update_columns(byte_size: 200.megabytes)
    ["bytes=6291450-", "bytes=-6"].each do |range|
      get rails_storage_proxy_path(document.file), headers: { "range" => range }
      expect(response.body.b).to be_bytes(data.byteslice(6_291_450..))
      expect(response.headers["content-range"]).to eq("bytes 6291450-6291455/6291456")
    end
  end

  it "sends no content for HEAD, but its length" do
    { {} => [200, "6291456"], { "range" => "bytes=10-19" } => [206, "10"] }.each do |headers, (status, length)|
      head rails_storage_proxy_path(document.file), headers: headers
      expect([response.status, response.body, response.headers["content-length"]]).to eq([status, "", length])
    end
  end

  it "sends nothing of a file that was changed in the bucket" do
    key = document.file.blob.key
    headers, body = stored(key)
    restore(key, headers, body.tap { |bytes| bytes.setbyte(-20, bytes.getbyte(-20) ^ 1) })
    begin
      get rails_storage_proxy_path(document.file)
    rescue ActiveStorage::IntegrityError
      nil
    end
    expect(response&.body.to_s.bytesize).to be < 1000
  end
end
