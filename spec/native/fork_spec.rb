# frozen_string_literal: true

# Puma, Spring and Solid Queue build the services, and perhaps use them, before they fork.
RSpec.describe EncryptedS3Service::Client, "in forked processes", if: Process.respond_to?(:fork) do
  let(:client) { new_client }
  let(:key) { unique_key }

  # Runs the block in a child and returns what it returns.
  def in_child
    reader, writer = IO.pipe
    pid = fork do
      reader.close
      answer = begin
        Timeout.timeout(30) { yield } # rubocop:disable Style/ExplicitBlockArgument
      rescue Exception => e # rubocop:disable Lint/RescueException
        "#{e.class}: #{e.message}"
      end
      writer.write(Marshal.dump(answer))
      writer.close
      exit!(0)
    end
    writer.close
    data = reader.read
    Process.wait(pid)
    data.empty? ? "the child died: #{Process.last_status}" : Marshal.load(data) # rubocop:disable Security/MarshalLoad
  ensure
    reader&.close
  end

  it "works in a child if it was not used before" do
    TestStore.server
    client
    key
    expect(in_child { client.upload(key, StringIO.new("child")) && client.download(key) }).to eq("child")
    expect(client.download(key)).to eq("child")
  end

  it "works in a child and in the parent if it was used before" do
    client.upload(key, StringIO.new("parent"))
    expect(in_child { client.download(key) }).to eq("parent")
    answers = Array.new(3) { in_child { client.upload(key, StringIO.new("child")) && client.download(key) } }
    expect(answers).to eq(%w[child child child])
    expect(client.download(key)).to eq("child")
  end

  it "works in a child of a child" do
    client.upload(key, StringIO.new("x"))
    expect(in_child { in_child { client.download(key) } }).to eq("x")
  end

  it "works in a child while a thread of the parent transfers a file" do
    client.upload(key, StringIO.new(data = random_bytes(6_000_000)))
    stop = false
    busy = Thread.new { client.download(key) until stop }
    answers = Array.new(5) { in_child { client.download(key) == data } }
    stop = true
    busy.join
    expect(answers).to eq([true] * 5)
  end

  it "refuses a transfer of the parent in a child, and the parent continues it" do
    client.upload(key, StringIO.new(random_bytes(12 * TestStore::MEBIBYTE)))
    seen = []
    client.download(key) do |chunk|
      seen << chunk.bytesize
      next unless seen.size == 1

      seen << in_child { client.download(key) { break "works" } }
    end
    expect(seen).to eq([5_242_880, "works", 5_242_880, 2_097_152])

    native = client.send(:native)
    handle = native.download(key, 0, nil)
    upload = native.upload(unique_key, { content_type: "a/b", checksum: nil, size: nil, settings: {} })
    upload.write("x")
    errors = [-> { handle.read }, -> { upload.write("y") }, -> { upload.finish }].map { |call| in_child(&call) }
    expect(errors).to all(start_with("EncryptedS3Service::ForkError"))
    expect([handle.read.bytesize, upload.finish[:bytes]]).to eq([5_242_880, 1])
    handle.close
  end

  it "lets a child end normally with an inherited transfer, and collect its garbage" do
    client.upload(key, StringIO.new(random_bytes(12 * TestStore::MEBIBYTE)))
    client.download(key) do
      pid = fork do
        GC.start
        at_exit { exit!(0) }
      end
      Timeout.timeout(20) { Process.wait(pid) }
      expect(Process.last_status).to be_success
      break
    end
  end
end
