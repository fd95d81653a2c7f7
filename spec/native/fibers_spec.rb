# frozen_string_literal: true

require_relative "../support/ruby_process"
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

  # Ruby frees the stack of such a fiber without running anything in it. In a process of its own, because without the
  # protection the process crashes.
  it "may be forgotten by its scheduler during an upload: nothing uses its stack any more" do
    StallingServer.run do |server|
      RubyProcess.start(<<~'RUBY', TestStore.settings_for(server.endpoint, retry_limit: 0)) do |process|
        class Forgetful
          def io_wait(io, events, _timeout = nil) = IO.select([io], nil, nil, 0.2) ? events : Fiber.yield
          def kernel_sleep(*) = nil
          def block(*) = nil
          def unblock(*) = nil
          def close = nil
        end

        native = EncryptedS3Service::Client.new(**input.first).send(:native)
        forget = lambda do
          Fiber.new(blocking: false) do
            upload = native.upload("key", { content_type: "a/b", checksum: nil, size: 30_000_000, settings: {} })
            upload.write("x" * 30_000_000)
          end.resume
          nil
        end
        deep = ->(depth) { depth.zero? ? GC.start : deep.call(depth - 1) }
        Thread.new do
          Fiber.set_scheduler(Forgetful.new)
          5.times { forget.call }
        end.join
        20.times { Fiber.new { deep.call(50) }.resume }
        puts "forgotten"
        $stdin.gets
        20.times { sleep(0.05) && Fiber.new { deep.call(50) }.resume }
        puts "alive"
      RUBY
        5.times { server.arrived }
        expect(process.line).to eq("forgotten")
        5.times { server.answer }
        process.tell
        expect(process.line).to eq("alive")
      end
    end
  end

  it "does not affect a thread without a scheduler" do
    client = new_client
    client.upload(key = unique_key, StringIO.new("x"))
    TickingScheduler.run { expect(Thread.new { client.download(key) }.value).to eq("x") }
  end
end
