# frozen_string_literal: true

require_relative "../rails_helper"

RSpec.describe ActiveStorage::Service::EncryptedS3Service, "#open" do
  it "yields a file in binary mode, like Active Storage's own services" do
    stores = { encrypted: ActiveStorage::Blob.services.fetch(:encrypted),
               disk: ActiveStorage::Blob.services.fetch(:local) }
    encodings = stores.transform_values do |service|
      service.upload(key = unique_key, StringIO.new("gr\xC3\xBC\xC3\x9Fe"))
      service.open(key, verify: false, &:read).encoding
    end
    expect(encodings).to eq(disk: Encoding::BINARY, encrypted: Encoding::BINARY)
  end
end
