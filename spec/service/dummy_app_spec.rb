# frozen_string_literal: true

require_relative "../rails_helper"

# The whole gem in a Rails application: spec/dummy.
RSpec.describe Document do
  let(:text) { "what a user uploads\n" * 1000 }

  def attach(data = text, name = "notes.txt", type = "text/plain")
    described_class.create!(file: { io: StringIO.new(data), filename: name, content_type: type })
  end

  it "stores attachments encrypted" do
    blob = attach.file.blob
    expect(blob.service_name).to eq("encrypted")
    expect(stored(blob.key).last).not_to include("what a user")
    expect(stored_plaintext(blob.key)).to eq(text)
  end

  it "returns them whole, in chunks and as a file" do
    file = described_class.find(attach.id).file
    expect(file.download).to eq(text)
    expect(file.enum_for(:download).to_a.join).to eq(text)
    expect(file.open(&:read)).to eq(text)
    expect(file.download_chunk(5...10)).to eq(text[5...10])
  end

  it "stores several attachments of one record" do
    pages = %w[one two three].map { |page| { io: StringIO.new(page), filename: "#{page}.txt" } }
    document = described_class.create!(pages: pages)
    expect(document.reload.pages.map(&:download)).to eq(%w[one two three])
  end

  it "analyzes the plaintext of a file" do
    blob = attach("\x89PNG\r\n\x1A\n", "pixel.png", nil).file.blob
    perform_enqueued_jobs
    expect(blob.reload).to be_analyzed.and(have_attributes(content_type: "image/png"))
  end

  it "removes purged files from the bucket" do
    blob = attach.file.blob
    blob.attachments.first.purge
    expect(server.head(bucket, blob.key)[0]).to eq(404)
  end

  it "composes blobs" do
    blobs = %w[123 456].map { |data| ActiveStorage::Blob.create_and_upload!(io: StringIO.new(data), filename: "part") }
    whole = ActiveStorage::Blob.compose(blobs, filename: "whole.txt")
    expect([whole.download, stored_plaintext(whole.key)]).to eq(%w[123456 123456])
  end

  it "stores nothing when the bytes do not match the checksum of the database" do
    blob = ActiveStorage::Blob.create!(key: SecureRandom.hex, filename: "x", byte_size: 1, checksum: md5("other"),
                                       service_name: "encrypted")
    expect { blob.upload_without_unfurling(StringIO.new("x")) }.to raise_error(ActiveStorage::IntegrityError)
    expect(server.head(bucket, blob.key)[0]).to eq(404)
  end

  it "keeps keys and credentials out of the logged parameters" do
    filter = ActiveSupport::ParameterFilter.new(Rails.application.config.filter_parameters)
    expect(filter.filter(encryption_key: "a", secret_access_key: "b", title: "c"))
      .to eq(encryption_key: "[FILTERED]", secret_access_key: "[FILTERED]", title: "c")
  end
end
