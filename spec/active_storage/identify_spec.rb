# frozen_string_literal: true

require_relative "../active_storage_helper"
require_relative "../support/fault_proxy"

# Direct uploads of a browser: the blob was made from the browser's description.
RSpec.describe "A file that was uploaded directly", "when it is attached" do
  let(:proxy) { FaultProxy.new(URI(server.endpoint)) }

  # Lets the blobs of the service `encrypted` go through the proxy.
  around do |example|
    before = ActiveStorage::Blob.services
    entries = { encrypted: { service: "EncryptedS3", **TestStore.settings(endpoint: proxy.endpoint) } }
    ActiveStorage::Blob.services = ActiveStorage::Service::Registry.new(entries)
    example.run
  ensure
    ActiveStorage::Blob.services = before
    proxy.stop
  end

  def uploaded_directly(data, filename, content_type)
    ActiveStorage::Blob.create_before_direct_upload!(filename: filename, byte_size: data.bytesize, checksum: md5(data),
                                                     content_type: content_type).tap do |blob|
      new_client.upload(blob.key, StringIO.new(data), checksum: blob.checksum)
    end
  end

  { "an icon" => 16, "a picture of two megabytes" => 600 }.each do |what, width|
    it "gets its real type, with one request for #{what}" do
      data = Samples.png(width, width)
      blob = uploaded_directly(data, "notes", "text/plain")
      document = Document.create!(file: blob.signed_id)
      expect(document.reload.file.blob).to have_attributes(content_type: "image/png", identified: true)
      expect(proxy.requests.map(&:operation)).to eq(%w[GetObject])
    end
  end

  it "is then analyzed with one further request" do
    blob = uploaded_directly(Samples.png(120, 80), "clouds.png", "image/png")
    document = Document.create!(file: blob.signed_id)
    perform_enqueued_jobs
    expect(document.reload.file.metadata).to include("width" => 120, "height" => 80)
    expect(proxy.requests.map(&:operation)).to eq(%w[GetObject GetObject])
  end

  it "is refused when nothing was uploaded" do
    blob = ActiveStorage::Blob.create_before_direct_upload!(filename: "notes", byte_size: 1, checksum: md5("x"))
    expect { Document.create!(file: blob.signed_id) }.to raise_error(ActiveStorage::FileNotFoundError)
  end
end
