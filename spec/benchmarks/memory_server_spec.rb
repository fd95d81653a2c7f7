# frozen_string_literal: true

require_relative "../../benchmarks/bench/memory_server"
require_relative "../../benchmarks/contenders"

# The figures of a server that does not behave as announced would be worthless. Building it takes a minute.
RSpec.describe Bench::MemoryServer, patience: 600 do
  let(:mebibyte) { TestStore::MEBIBYTE }

  def with_server(line)
    server = described_class.start(line: line)
    server.create_bucket("line")
    yield server
  ensure
    server&.stop
  end

  def seconds
    started = Process.clock_gettime(Process::CLOCK_MONOTONIC)
    yield
    Process.clock_gettime(Process::CLOCK_MONOTONIC) - started
  end

  def with_client(server)
    settings = server.storage_yml("line").transform_keys(&:to_sym)
    yield EncryptedS3Service::Client.new(**settings, encryption_key: TestStore::KEY), settings
  end

  # If the line is the limit, all clients are equally fast, so the line must have the announced rate.
  it "answers after the latency, and limits each connection to its rates" do
    with_server(described_class::Line.new(latency: 30, up: 20_000_000, down: 90_000_000)) do |server|
      expect(seconds { 5.times { server.head("line", "none") } }).to be_between(0.15, 1)
      body = Random.bytes(6_000_000)
      expect(seconds { server.put("line", "file", body) }).to be_between(0.3, 1)
      expect(seconds { 3.times { expect(server.get("line", "file")[2]).to be_bytes(body) } }).to be_between(0.25, 1.2)

      # 48 MB one after another would take 2.4 seconds.
      together = seconds { Array.new(8) { |n| Thread.new { server.put("line", n.to_s, body) } }.each(&:join) }
      expect(together).to be_between(0.3, 1.6)
    end
  end

  it "has no latency and no rates by default" do
    with_server(described_class::Line.none) do |server|
      body = Random.bytes(20_000_000)
      # Best of several, because the machine may be busy. At the rates above, none could be as fast.
      expect(Array.new(5) { seconds { server.put("line", "file", body) } }.min).to be < 0.9
      expect(Array.new(5) { seconds { server.get("line", "file") } }.min).to be < 0.2
    end
  end

  it "counts requests and bytes" do
    with_server(described_class::Line.none) do |server|
      server.put("line", "file", "x" * 100_000)
      before = server.moved
      2.times { server.get("line", "file") }
      moved = server.moved.merge(before) { |_, after, start| after - start }
      expect(moved).to include(requests: 2, received: (200..5000), sent: (200_000..202_000))
    end
  end

  it "supports the requests of this gem: parts, ranges, versions, copies" do
    with_server(described_class::Line.none) do |server|
      with_client(server) do |client, settings|
        content = random_bytes(17 * mebibyte)
        client.upload("folder/file", StringIO.new(content), checksum: md5(content))
        expect(client.download("folder/file")).to be_bytes(content)
        expect(client.download_chunk("folder/file", 5_000_000..5_000_009)).to be_bytes(content[5_000_000, 10])

        newer = EncryptedS3Service::Client.new(**settings, encryption_key: "n" * 32,
                                                           decryption_keys: [TestStore::KEY])
        expect(newer.rotate("folder/file")).to be_truthy
        expect(newer.stat("folder/file").key_id).to eq(newer.configuration.encryption_key.id)
        newer.delete_prefixed("folder/")
        expect(newer.exist?("folder/file")).to be(false)
      end
    end
  end

  # For benchmarks/largest.rb. An object with other bytes is refused, so that its check can fail.
  it "recomputes the discarded body of an object of zeros" do
    server = described_class.start(discard: "away/", zeros: [TestStore::KEY].pack("m0"))
    server.create_bucket("line")
    with_client(server) do |client|
      zeros = "\0" * (17 * mebibyte)
      client.upload("away/zeros", StringIO.new(zeros))
      expect(client.download("away/zeros")).to be_bytes(zeros)
      expect(client.download_chunk("away/zeros", (10 * mebibyte)..)).to be_bytes(zeros[0, 7 * mebibyte])
      client.upload("away/others", StringIO.new("other bytes"))
      expect { client.download("away/others") }.to raise_error(EncryptedS3Service::TamperedError)
    end
  ensure
    server&.stop
  end

  it "supports the requests of Amazon's SDK for Ruby" do
    with_server(described_class::Line.none) do |server|
      settings = server.storage_yml("line").transform_keys(&:to_sym)
      service = Bench::Contenders.build("plain", settings)
      content = random_bytes(17 * mebibyte)
      Tempfile.create(binmode: true) do |file|
        file.write(content)
        service.upload("file", file.tap(&:rewind))
      end
      expect(service.download("file")).to be_bytes(content)
      expect(service.download_chunk("file", 7..9)).to be_bytes(content[7..9])
      expect(service.bucket.object("copy").copy_from(service.bucket.object("file")).copy_object_result.etag).to be
      service.bucket.object("parts").copy_from(service.bucket.object("file"), multipart_copy: true,
                                                                              content_length: content.bytesize,
                                                                              min_part_size: 5 * mebibyte)
      expect(service.download("parts")).to be_bytes(content)
      service.delete_prefixed("")
      expect(service.exist?("file")).to be(false)
    end
  end
end
