# frozen_string_literal: true

RSpec.describe EncryptedS3Service::Client, "with several threads" do
  it "serves sixteen of them at once, each with its own bytes" do
    client = new_client
    threads = Array.new(16) do |number|
      Thread.new do
        data = random_bytes(400_000 + number, number)
        key = unique_key
        3.times { client.upload(key, StringIO.new(data), checksum: md5(data)) }
        [client.download(key) == data, client.download_chunk(key, 1000...1010) == data[1000...1010], client.size(key)]
      end
    end
    expect(threads.map(&:value)).to eq(Array.new(16) { |number| [true, true, 400_000 + number] })
  end

  it "stores a frozen String that several of them return from their IOs at the same time" do
    client = new_client
    data = random_bytes(8 * TestStore::MEBIBYTE).freeze
    keys = Array.new(8) { unique_key }
    threads = keys.map do |key|
      pieces = [data, data]
      Thread.new { client.upload(key, Struct.new(:pieces) { def read(*) = pieces.shift }.new(pieces)) }
    end
    expect(threads.map { |thread| thread.value[:bytes] }).to all(eq(2 * data.bytesize))
    expect(client.download(keys.last)).to eq(data + data)
  end

  it "lets only one thread at a time use a transfer" do
    StallingServer.run do |store|
      client = described_class.new(**TestStore.settings_for(store.endpoint))
      upload = client.send(:native).upload("key", { content_type: "a/b", checksum: nil, size: nil, settings: {} })
      finishing = Thread.new { upload.finish }
      finishing.report_on_exception = false
      store.arrived
      expect { upload.write("x") }.to raise_error(ThreadError)
      finishing.kill.join
    end
  end
end
