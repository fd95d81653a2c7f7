# frozen_string_literal: true

require_relative "../rails_helper"

# Rails builds more than one service from an entry: for a mirror, after a reload, for each of its registries.
RSpec.describe ActiveStorage::Service::EncryptedS3Service, "built twice of one entry" do
  it "works with both in sixteen threads, and each reads the other's files" do
    settings = TestStore.settings(upload: { multipart_threshold: 5.megabytes })
    configurator = ActiveStorage::Service::Configurator.new({ one: { service: "EncryptedS3", **settings } })
    services = Array.new(2) { configurator.build(:one) }
    threads = Array.new(16) do |number|
      Thread.new do
        mine, other = services.rotate(number)
        data = random_bytes(number < 4 ? 6.megabytes : 200_000, number)
        key = unique_key
        mine.upload(key, StringIO.new(data), checksum: md5(data))
        [other.download(key) == data, other.download_chunk(key, 1000...2000) == data[1000...2000],
         other.open(key, checksum: md5(data)) { |file| File.binread(file.path) == data },
         mine.delete(key), other.exist?(key)]
      end
    end
    expect(threads.map(&:value)).to all(eq([true, true, true, nil, false]))
  end
end
