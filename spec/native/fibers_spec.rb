# frozen_string_literal: true

require_relative "../support/ticking_scheduler"

# A server with fibers has one thread for many requests: while one of them waits for S3, the others are answered.
RSpec.describe EncryptedS3Service::Client, "under a fiber scheduler" do
  # The block's result. Other fibers must not have had to wait for it.
  def beside_others(&)
    result, ticks = TickingScheduler.run(&)
    expect(ticks).to be > 20
    result
  end

  it "lets other fibers run while S3 is slow to answer" do
    StallingServer.run do |server|
      client = described_class.new(**TestStore.settings_for(server.endpoint))
      { download: -> { client.download("a") }, size: -> { client.size("a") } }.each_value do |call|
        answering = Thread.new do
          server.arrived
          sleep 0.2
          server.answer
        end
        beside_others { expect(&call).to raise_error(EncryptedS3Service::NotFoundError) }
        answering.join
      end
    end
  end

  it "stores and reads" do
    client = new_client(memory_limit: TestStore::MEBIBYTE)
    data = random_bytes(20 * TestStore::MEBIBYTE)
    key = unique_key
    read = beside_others do
      client.upload(key, StringIO.new(data), checksum: md5(data))
      Tempfile.create(binmode: true) do |file|
        client.download_file(key, file)
        file.rewind
        [client.download(key), client.download_chunk(key, 5..9), file.read]
      end
    end
    expect(read).to eq([data, data[5..9], data])
  end

  it "ends when an error is raised in its fiber, and leaves nothing behind" do
    StallingServer.run do |server|
      client = described_class.new(**TestStore.settings_for(server.endpoint))
      raised = nil
      TickingScheduler.run do
        waiting = Fiber.schedule do
          client.download("a")
        rescue RuntimeError => e
          raised = e
        end
        server.arrived
        waiting.raise("enough")
      end
      expect(raised&.message).to eq("enough")
    end
  end

  it "does not affect a thread without a scheduler" do
    client = new_client
    client.upload(key = unique_key, StringIO.new("x"))
    TickingScheduler.run { expect(Thread.new { client.download(key) }.value).to eq("x") }
  end
end
