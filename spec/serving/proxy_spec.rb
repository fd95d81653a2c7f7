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

  it "refuses a part after the end of the file, although the size in its row is larger" do
    document.file.blob.update_columns(byte_size: data.bytesize + 100)
    get rails_storage_proxy_path(document.file), headers: { "range" => "bytes=-50" }
    expect(response).to have_http_status(:range_not_satisfiable)
    expect(response.headers).to include("cache-control" => "no-cache")
    expect(response.headers).not_to include("content-range")
  end

  it "limits ranges as Active Storage does, on older versions of Rails too" do
    # The behaviour of versions before the releases of spring 2026.
    if ActiveStorage::Streaming.private_method_defined?(:ranges_valid?)
      allow_any_instance_of(ActiveStorage::Blobs::ProxyController).to receive(:ranges_valid?).and_return(true)
    end
    reads = []
    document
    ActiveSupport::Notifications.subscribed(->(name, *) { reads << name }, "service_download_chunk.active_storage") do
      get rails_storage_proxy_path(document.file), headers: { "range" => "bytes=0-9,20-29" }
      expect(response).to have_http_status(:range_not_satisfiable)
      document.file.blob.update_columns(byte_size: 200.megabytes)
      get rails_storage_proxy_path(document.file), headers: { "range" => "bytes=0-" }
      expect(response).to have_http_status(:range_not_satisfiable)
    end
    expect(reads).to eq([])
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
