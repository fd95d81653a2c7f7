# frozen_string_literal: true

# A web server must answer other requests while one of them waits for S3 or encrypts a film.
RSpec.describe EncryptedS3Service::Client, "while another thread works" do
  # Runs the block and returns the longest time, in seconds, for which another Ruby thread did not get to run.
  def longest_stall
    running = true
    longest = 0.0
    ticking = Queue.new
    ticker = Thread.new do
      last = now
      ticking.push(true)
      while running
        sleep 0.002
        longest = [longest, now - last].max
        last = now
      end
    end
    # The thread must be running before its delay can be measured.
    ticking.pop
    yield
    running = false
    ticker.join
    longest
  end

  def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)

  it "does not block it while S3 is slow to answer" do
    StallingServer.run do |server|
      client = described_class.new(**TestStore.settings_for(server.endpoint))
      [-> { client.download("a") }, -> { client.exist?("a") }, -> { client.upload("a", StringIO.new("x")) },
       -> { client.delete("a") }].each do |call|
        stall = longest_stall do
          caller = Thread.new do
            call.call
          rescue EncryptedS3Service::Error
            nil
          end
          server.arrived
          sleep 1
          server.answer
          caller.join
        end
        expect(stall).to be < 0.5
      end
    end
  end

  # The delay of another thread in each of three attempts, as a share of the time of the block: about 1 for work that
  # keeps other threads out.
  def shares_of_stall(&)
    Array.new(3) do
      started = now
      longest_stall(&) / (now - started)
    end
  end

  # The best of three, because a busy machine also delays threads.
  def share_of_stall(&) = shares_of_stall(&).min

  it "would fail this test if it did" do
    expect(shares_of_stall { ("x" * 6_000_000).unpack("C*") }.max).to be > 0.5
  end

  it "does not block it while a large file is read and encrypted" do
    native = new_client(upload: { multipart_threshold: 1 << 30 }).send(:native)
    Tempfile.create do |file|
      file.truncate(256 * TestStore::MEBIBYTE)
      share = share_of_stall do
        upload = native.upload(unique_key, { content_type: "a/b", checksum: nil, size: nil, settings: {} })
        upload.write_file(file.fileno, 0, file.size)
        upload.abort
      end
      expect(share).to be < 0.5
    end
  end

  it "does not block it while a large object is fetched, verified and decrypted" do
    client = new_client(memory_limit: 256 * TestStore::MEBIBYTE)
    Tempfile.create do |file|
      file.truncate(128 * TestStore::MEBIBYTE)
      client.upload(key = unique_key, file)
      share = share_of_stall { client.download(key) { nil } }
      client.delete(key)
      expect(share).to be < 0.5
    end
  end
end
