# frozen_string_literal: true

require "timeout"
require_relative "../support/fault_proxy"
require_relative "../support/slow_line"

# Slow transfers of any size succeed; stalled ones are not waited for. No example has a time limit of its own: the
# client's limits are the subject.
RSpec.describe EncryptedS3Service::Client, "before a store that is slow or falls silent" do
  let(:mebibyte) { TestStore::MEBIBYTE }
  let(:key) { unique_key }

  def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)

  def seconds
    started = now
    yield
    now - started
  end

  # Most of their time is spent waiting.
  def at_once(cases) = cases.map { |given| Thread.new { yield(*given) } }.each(&:value)

  # A client whose store sends the part of an object's body that the block returns for each request, and then nothing.
  def with_silent_store(data, *parts, key: self.key, **settings)
    new_client.upload(key, StringIO.new(data))
    headers, body = stored(key)
    kept = headers.select { |name, _| name.match?(/\A(etag|x-amz-meta-.*)\z/) }
    StallingServer.run do |store|
      parts.each { |part| store.answer(answer(kept, body, part)) }
      yield described_class.new(**TestStore.settings_for(store.endpoint, http_read_timeout: 1, **settings)), store
    end
  end

  # The answer for the bytes from the beginning of `part` to the end of the body, which stops at the end of `part`.
  def answer(headers, body, part)
    lines = headers.map { |name, value| "#{name}: #{value}\r\n" }
    "HTTP/1.1 206 Partial Content\r\ncontent-length: #{body.bytesize - part.begin}\r\n" \
    "content-range: bytes #{part.begin}-#{body.bytesize - 1}/#{body.bytesize}\r\n#{lines.join}\r\n#{body[part]}".b
  end

  it "continues a stalled body at its position" do
    data = random_bytes(100_000)
    with_silent_store(data, 0...60_000, 60_000..) do |client, store|
      expect(client.download(key)).to be_bytes(data)
      store.arrived
      expect(store.further_arrivals).to eq(1)
    end
  end

  it "raises a TransportError when every body stalls, for every way of reading" do
    reads = [
      ->(client, key) { client.download(key) { raise "a byte was handed out" } },
      ->(client, key) { client.download_chunk(key, 0..9) },
      ->(client, key) { Tempfile.create { |file| client.download_file(key, file) } }
    ]
    at_once(reads) do |read|
      key = unique_key
      with_silent_store(random_bytes(100_000), *Array.new(6) { |n| (n * 100)...((n + 1) * 100) }, key:) do |client|
        expect { read.call(client, key) }.to raise_error(EncryptedS3Service::TransportError)
      end
    end
  end

  it "raises a TransportError without a response, after `retry_limit` retries" do
    # The number of different requests that each makes at once.
    calls = { ->(client) { client.download("a") } => 1, ->(client) { client.exist?("a") } => 1,
              ->(client) { client.delete("a") } => 2, ->(client) { client.delete_prefixed("a/") } => 1,
              ->(client) { client.upload("a", StringIO.new("x")) } => 1 }
    at_once(calls) do |call, different|
      StallingServer.run do |store|
        client = described_class.new(**TestStore.settings_for(store.endpoint, http_read_timeout: 0.5, retry_limit: 1))
        expect(seconds { expect { call.call(client) }.to raise_error(EncryptedS3Service::TransportError) }).to be < 15
        expect(Array.new(2 * different) { store.arrived }.tally.values).to eq([2] * different)
      end
    end
  end

  it "raises a TransportError when a response ends in the middle of its list" do
    StallingServer.run do |store|
      store.answer("HTTP/1.1 200 OK\r\ncontent-type: application/xml\r\ncontent-length: 1000\r\n\r\n<ListBucketResult>")
      client = described_class.new(**TestStore.settings_for(store.endpoint, http_read_timeout: 1))
      expect { client.delete_prefixed("a/") }.to raise_error(EncryptedS3Service::TransportError)
    end
  end

  it "uploads over a slow connection for many times `http_read_timeout`, in one request and in parts" do
    data = random_bytes(20 * mebibyte)
    [64 * mebibyte, 5 * mebibyte].each do |threshold|
      SlowLine.run(URI(server.endpoint).port) do |line|
        client = new_client(endpoint: line.url, http_read_timeout: 1, retry_limit: 0,
                            upload: { multipart_threshold: threshold, concurrency: 1 })
        expect(seconds { client.upload(key, StringIO.new(data)) }).to be > 2
      end
      expect(new_client.download(key)).to be_bytes(data)
    end
  end

  it "retries as often as documented, for at most a minute" do
    new_client.upload(key, StringIO.new("x"))
    FaultProxy.run(server.endpoint) do |proxy|
      %w[GetObject PutObject HeadObject].each { |operation| proxy.fault(operation, status: 503) }
      client = new_client(endpoint: proxy.endpoint)
      calls = { "GetObject" => -> { client.download(key) }, "HeadObject" => -> { client.exist?(key) },
                "PutObject" => -> { client.upload(key, StringIO.new("y")) } }
      calls.each do |operation, call|
        taken = seconds { expect(&call).to raise_error(EncryptedS3Service::TransportError) }
        expect(taken).to be < 60
        # One HeadObject, retried as often, checks whether an upload was carried out although its answers were failures.
        expect(proxy.requests(operation).size).to be_between(4, 8)
      end
    end
  end

  it "fails immediately when nothing listens" do
    listener = TCPServer.new("127.0.0.1", 0)
    port = listener.addr[1]
    listener.close
    client = described_class.new(**TestStore.settings_for("http://127.0.0.1:#{port}").except(:retry_limit))
    expect(seconds { expect { client.download("a") }.to raise_error(EncryptedS3Service::TransportError) }).to be < 30
  end
end
