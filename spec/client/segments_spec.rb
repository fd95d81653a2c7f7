# frozen_string_literal: true

require_relative "../support/counting_relay"
require_relative "../support/fault_proxy"
require_relative "../support/quirky_stores"
require_relative "../support/ruby_process"
require_relative "../support/segment_map"

# Large objects are read by their segments: little is fetched, and every byte is authenticated before it is returned.
RSpec.describe EncryptedS3Service::Client, "reading a large object by its segments" do
  mebibyte = TestStore::MEBIBYTE

  let(:key) { unique_key }
  let(:sidecar) { "#{key}.segments" }
  let(:data) { random_bytes(20 * mebibyte) }

  # Each example describes the map beside the object.
  before do
    new_client.upload(key, StringIO.new(data))
    server.delete(bucket, sidecar)
  end

  def counted
    relay = CountingRelay.new(server.endpoint)
    yield new_client(endpoint: relay.endpoint), relay
  ensure
    relay&.close
  end

  def watched
    FaultProxy.run(server.endpoint) { |proxy| yield new_client(endpoint: proxy.endpoint), proxy }
  end

  # @return [Array<String>] "<name of the object> <first byte>-<last byte>" of every request for an object
  def asked(proxy)
    proxy.requests("GetObject").map do |request|
      [File.basename(request.target[/[^?]+/]), *request.range&.join("-")].join(" ")
    end
  end

  def store_sidecar(content = SegmentMap.of(*stored(key), TestStore::KEY))
    server.put(bucket, sidecar, content, {})
  end

  # Changes a byte of the stored object and leaves its envelope as it is.
  def change(at)
    headers, body = stored(key)
    body.setbyte(at, body.getbyte(at) ^ 1)
    restore(key, headers, body)
  end

  def logged
    former = EncryptedS3Service.logger
    EncryptedS3Service.logger = Logger.new(log = StringIO.new)
    yield
    log.string
  ensure
    EncryptedS3Service.logger = former
  end

  describe "without a map beside it" do
    it "transfers less than 60 MiB for twenty ranges of a file of 20 MiB" do
      ranges = Array.new(20) { |number| (number * mebibyte)...((number * mebibyte) + 65_536) }
      counted do |client, relay|
        read = ranges.map { |range| client.download_chunk(key, range) }
        expect(read).to eq(ranges.map { |range| data[range] })
        expect(relay.bytes).to be < 60 * mebibyte
      end
    end

    it "transfers at most 192 KiB for 64 KiB at any position, after the first read" do
      counted do |client, relay|
        client.download_chunk(key, 0..0)
        [0, 5, 65_535, 10_000_000, (20 * mebibyte) - 65_536].each do |first|
          range = first...(first + 65_536)
          moved = relay.moved { expect(client.download_chunk(key, range)).to eq(data[range]) }
          expect(moved).to be < 192 * 1024
        end
      end
    end

    it "makes one request for a range, after the first read" do
      watched do |client, proxy|
        client.download(key)
        before = proxy.requests.size
        client.download_chunk(key, 1_000_000..1_000_010)
        expect(proxy.requests.drop(before).map(&:range)).to eq([[983_040, 1_048_575]])
      end
    end

    it "keeps a map for all clients of the process, and for no other object" do
      watched do |client, proxy|
        new_client(endpoint: proxy.endpoint).download(key)
        before = asked(proxy).size
        client.download_chunk(key, 0..9)
        expect(asked(proxy).drop(before)).to eq(["file 0-65535"])
        other = unique_key
        client.upload(other, StringIO.new("x" * 50))
        expect(client.download_chunk(other, 2..3)).to eq("xx")
      end
    end

    it "makes one pass for concurrent readers" do
      counted do |client, relay|
        parts = Array.new(8) { |number| Thread.new { client.download_chunk(key, number..(number + 9)) } }.map(&:value)
        expect(parts).to eq(Array.new(8) { |number| data[number..(number + 9)] })
        expect(relay.bytes).to be < 80 * mebibyte
      end
    end

    it "lets a reader that waits for the pass of another be interrupted, and the other continues" do
      watched do |client, proxy|
        gate = proxy.hold("GetObject", skip: 1, times: 1)
        first = Thread.new { client.download_chunk(key, 0..9) }
        gate.arrived
        expect { Timeout.timeout(0.5) { client.download_chunk(key, 0..9) } }.to raise_error(Timeout::Error)
        killed = Thread.new { client.download_chunk(key, 0..9) }
        killed.join(0.3)
        killed.kill
        expect(killed.join(5)).to be(killed)
        gate.open
        expect(first.value).to eq(data[0..9])
      end
    end

    it "lets waiting readers continue when the one that reads is interrupted" do
      watched do |client, proxy|
        gate = proxy.hold("GetObject", skip: 1, times: 1)
        first = Thread.new { client.download_chunk(key, 0..9) }
        gate.arrived
        second = Thread.new { client.download_chunk(key, 10..19) }
        second.join(0.3)
        first.kill.join(5)
        gate.open
        expect(second.value).to eq(data[10..19])
      end
    end

    it "works in a child that is forked during a pass", if: Process.respond_to?(:fork) do
      output, status = RubyProcess.run(<<~'RUBY', TestStore.settings, key, data[0..9])
        entry, key, expected = input
        client = EncryptedS3Service::Client.new(**entry)
        reading = Thread.new { 20.times { client.download(key) } }
        10.times do
          pid = fork { exit!(client.download_chunk(key, 0..9) == expected ? 0 : 1) }
          raise "wrong bytes" unless Process.wait2(pid).last.success?
        end
        reading.kill.join
      RUBY
      expect([output, status.exitstatus]).to eq(["", 0])
    end

    it "returns the same bytes when its key is rotated during the read" do
      rotating = new_client(encryption_key: "k" * 32, encryption_key_id: "new",
                            decryption_keys: { TestStore::KEY_ID => TestStore::KEY })
      read = +""
      rotating.download(key) do |chunk|
        expect(rotating.rotate(key).outcome).to eq(:rotated) if read.empty?
        read << chunk
      end
      expect(read).to be_bytes(data)
    end

    it "raises when the object is replaced during the read, after right bytes" do
      # More than is fetched ahead.
      new_client.upload(key, StringIO.new(data << random_bytes(20 * mebibyte, 2)))
      server.delete(bucket, sidecar)
      read = +""
      reading = lambda do
        new_client.download(key) do |chunk|
          new_client.upload(key, StringIO.new("other")) if read.empty?
          read << chunk
        end
      end
      expect(&reading).to raise_error(EncryptedS3Service::ChangedError)
      expect(data).to start_with(read)
    end

    it "returns no byte of a segment that is changed after it was checked" do
      read = +""
      ChangingStore.run(server.endpoint) do |store|
        reader = new_client(endpoint: store.endpoint).reader(key)
        read << reader.read(10)
        store.change_byte(18 * mebibyte)
        reading = -> { loop { read << (reader.read(mebibyte) || break) } }
        expect(&reading).to raise_error(EncryptedS3Service::TamperedError)
        expect { reader.read(1) }.to raise_error(EncryptedS3Service::ClosedError)
      end
      expect(data).to start_with(read)
      expect(read.bytesize).to be_between(mebibyte, 18 * mebibyte)
    end
  end

  describe "with a map beside it" do
    before { store_sidecar }

    it "requests the range and the map at once, and nothing else" do
      watched do |client, proxy|
        range = (17 * mebibyte)...((17 * mebibyte) + 65_536)
        expect(client.download_chunk(key, range)).to eq(data[range])
        expect(asked(proxy)).to contain_exactly("file 17825792-17891327", "file.segments 0-16777312")
      end
    end

    it "keeps only the needed part in memory while the map is fetched, for many readers of the beginning" do
      store_sidecar
      watched do |_client, proxy|
        gate = proxy.hold("GetObject", only: ->(request) { request.target.include?("segments") })
        code = <<~'RUBY'
          entry, key, expected = input
          client = EncryptedS3Service::Client.new(**entry)
          most = -> { File.read("/proc/self/status")[/VmHWM:\s*(\d+)/, 1].to_i * 1024 }
          client.exist?(key)
          before = most.call
          visitors = Array.new(40) { Thread.new { client.download_chunk(key, 0...65_536) == expected } }
          puts visitors.all?(&:value), most.call - before
        RUBY
        RubyProcess.start(code, TestStore.settings(endpoint: proxy.endpoint), key, data[0...65_536]) do |process|
          gate.arrived
          Timeout.timeout(30) { Thread.pass until asked(proxy).count { |one| one.start_with?("file ") } == 40 }
          gate.open
          expect(process.line).to eq("true")
          expect(process.line.to_i).to be < 60 * mebibyte
        end
      end
    end

    it "returns the first byte after little of it has arrived" do
      counted do |client, relay|
        reader = client.reader(key)
        expect(reader.read(1)).to eq(data[0])
        # One range of 5 MiB, and the map.
        expect(relay.bytes).to be < 5.1 * mebibyte
      ensure
        reader.close
      end
    end

    it "streams it in one pass" do
      counted do |client, relay|
        read = +""
        client.download(key) { |chunk| read << chunk }
        expect(read).to be_bytes(data)
        expect(relay.bytes).to be < 21 * mebibyte
      end
    end

    it "requests no map of a small object" do
      small = unique_key
      watched do |client, proxy|
        client.upload(small, StringIO.new("small"))
        expect([client.download(small), client.download_chunk(small, 1..2)]).to eq(%w[small ma])
        expect(asked(proxy).map { |request| request[/\S+/] }).to eq(%w[file file])
      end
    end

    it "refuses a changed segment, and does not blame the map" do
      change(17 * mebibyte)
      range = (17 * mebibyte)..((17 * mebibyte) + 9)
      reading = -> { new_client.download_chunk(key, range) }
      expect(logged { expect(&reading).to raise_error(EncryptedS3Service::TamperedError) }).to eq("")
    end

    it "detects a wrong map, reports it, and reads the object" do
      map = SegmentMap.of(*stored(key), TestStore::KEY)
      map.setbyte(-1, map.getbyte(-1) ^ 1)
      store_sidecar(map)
      log = logged { expect(new_client.download(key)).to be_bytes(data) }
      expect(log).to include("segment map of the object \"#{key}\"")
    end

    ["", "ES3SEGMT", "text of an application", "\0" * 17_000_000].each do |content|
      it "reads the object when #{content.bytesize} bytes of something else are there" do
        store_sidecar(content)
        log = logged { expect(new_client.download_chunk(key, 5..9)).to eq(data[5..9]) }
        # It is not replaced, so no log may say that.
        expect(log).to eq("")
        expect(server.get(bucket, sidecar).last).to be_bytes(content)
      end
    end
  end
end
