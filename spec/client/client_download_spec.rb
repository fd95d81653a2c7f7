# frozen_string_literal: true

RSpec.describe EncryptedS3Service::Client do
  let(:client) { new_client }
  let(:key) { unique_key }
  let(:five_mib) { 5 * TestStore::MEBIBYTE }

  def store(data, name = key) = client.upload(name, StringIO.new(data))

  def chunks_of(name, reader = client) = [].tap { |chunks| reader.download(name) { |chunk| chunks << chunk } }

  describe "#download" do
    it "returns the stored bytes as one binary string" do
      store(data = random_bytes(2_000_000))
      expect(client.download(key)).to be_bytes(data).and(have_attributes(encoding: Encoding::BINARY, frozen?: false))
    end

    it "returns an empty string for an empty object, and does not call a block" do
      store("")
      expect(client.download(key)).to eq("").and(have_attributes(encoding: Encoding::BINARY))
      expect(chunks_of(key)).to eq([])
    end

    {
      "5 MiB - 1" => [5_242_879], "5 MiB" => [5_242_880], "5 MiB + 1" => [5_242_880, 1],
      "10 MiB" => [5_242_880, 5_242_880], "12 MiB" => [5_242_880, 5_242_880, 2_097_152]
    }.each do |name, sizes|
      it "yields chunks of exactly 5 MiB and the rest of #{name}" do
        store(data = random_bytes(sizes.sum))
        chunks = chunks_of(key)
        expect(chunks.map(&:bytesize)).to eq(sizes)
        expect(chunks.join).to be_bytes(data)
        expect(chunks.map(&:encoding).uniq).to eq([Encoding::BINARY])
      end
    end

    it "reads an object above the memory limit, but only as a whole" do
      store(data = random_bytes(12 * TestStore::MEBIBYTE))
      small = new_client(memory_limit: TestStore::MEBIBYTE)
      expect(small.download(key)).to be_bytes(data)
      headers, body = stored(key)
      body.setbyte(-1, body.getbyte(-1) ^ 1)
      restore(key, headers, body)
      yielded = 0
      expect { small.download(key) { yielded += 1 } }.to raise_error(EncryptedS3Service::TamperedError)
      expect(yielded).to eq(0)
    end

    it "can be left at any chunk, and the client works afterwards" do
      store(random_bytes(12 * TestStore::MEBIBYTE))
      client.download(key) { break }
      thrown = catch(:found) { client.download(key) { |chunk| throw :found, chunk.bytesize } }
      expect { client.download(key) { raise "enough" } }.to raise_error("enough")
      expect([thrown, client.size(key)]).to eq([five_mib, 12 * TestStore::MEBIBYTE])
    end

    it "can be called again inside its own block" do
      store("outer")
      store("inner", inner = unique_key)
      expect(chunks_of(key).map { |chunk| chunk + client.download(inner) }).to eq(%w[outerinner])
    end
  end

  describe "#reader" do
    let(:reader) { client.reader(key) }

    before { store(random_bytes(100)) }

    after { reader.close }

    it "returns an empty string for 0 bytes, like IO#read, and nil only after the last byte" do
      expect([reader.read(0), reader.read(40), reader.read(2**70), reader.read(1), reader.read(0)])
        .to eq(["", random_bytes(100)[0, 40], random_bytes(100)[40..], nil, ""])
    end

    it "fills a buffer like IO#read, and empties it after the last byte" do
      buffer = +"former"
      expect(reader.read(100, buffer)).to be(buffer).and be_bytes(random_bytes(100))
      expect([reader.read(1, buffer), buffer]).to eq([nil, ""])
      expect(buffer.encoding).to be(Encoding::BINARY)
    end

    it "works with IO.copy_stream and with an upload" do
      store(data = random_bytes(6 * TestStore::MEBIBYTE))
      IO.copy_stream(reader, copy = StringIO.new.binmode)
      expect(copy.string).to be_bytes(data)
      again = client.reader(key)
      client.upload(other = unique_key, again)
      expect(client.download(other)).to be_bytes(data)
    ensure
      again&.close
    end

    it "skips at most to the end" do
      reader.skip(2**70)
      expect(reader.read(1)).to be_nil
    end

    [-1, nil, 1.5, "1"].each do |number|
      it "refuses #{number.inspect} as a number of bytes, and works afterwards" do
        expect { reader.read(number) }.to raise_error(ArgumentError, /Integer of at least 0/)
        expect { reader.skip(number) }.to raise_error(ArgumentError, /Integer of at least 0/)
        expect(reader.read(100)).to be_bytes(random_bytes(100))
      end
    end

    [5..2, 0...0, (2**70).., 200..300].each do |likely|
      it "starts at the beginning, also with the hint #{likely.inspect}" do
        hinted = client.reader(key, likely: likely)
        expect(hinted.read(100)).to be_bytes(random_bytes(100))
      ensure
        hinted&.close
      end
    end
  end

  describe "#download_chunk" do
    let(:data) { random_bytes(100_000) }

    before { store(data) }

    [0...4096, 0..0, 5..10, 5...10, 16..31, 99_999..99_999, 99_990..200_000, 0..99_999, 50_000.., 50_000...nil, nil..9,
     nil...9, 0..].each do |range|
      it "returns the bytes #{range.inspect} of 100,000, with the meaning of Ruby's ranges" do
        expect(client.download_chunk(key, range))
          .to be_bytes(data.byteslice(range)).and(have_attributes(encoding: Encoding::BINARY))
      end
    end

    [7...7, 0...0, 9..3].each do |range|
      it "returns an empty string for the empty range #{range.inspect}" do
        expect(client.download_chunk(key, range)).to eq("")
      end
    end

    [100_000..100_001, 100_000.., 200_000...200_010, (2**62).., (2**64).., (2**70)..(2**70)].each do |range|
      it "refuses the range #{range.inspect}, which begins past the end" do
        expect { client.download_chunk(key, range) }
          .to raise_error(EncryptedS3Service::InvalidRangeError) { |e| expect(e.code).to eq("invalid-range") }
      end
    end

    it "names the beginning of a refused range" do
      expect { client.download_chunk(key, 200_000..200_010) }
        .to raise_error("object #{key.inspect}: the range begins at byte 200000, but the object has 100000 bytes")
    end

    [2**63, 2**64, 2**70].each do |last|
      it "returns the rest for a range that ends at #{last}" do
        expect(client.download_chunk(key, 99_990..last)).to be_bytes(data[99_990..])
      end
    end

    [-5..-1, -1.., 0..-1, "a".."b", 0.5..3].each do |range|
      it "refuses the range #{range.inspect}" do
        expect { client.download_chunk(key, range) }.to raise_error(ArgumentError, /integers of at least 0/)
      end
    end

    [nil, 5, "bytes=0-9", [0, 9], (0..9).step(2)].each do |range|
      it "refuses #{range.inspect}, which is no range" do
        expect { client.download_chunk(key, range) }.to raise_error(ArgumentError, /must be a Range, not/)
      end
    end

    it "returns bytes from any position of a large object" do
      store(large = random_bytes(12 * TestStore::MEBIBYTE))
      [0...10, 7_000_001..7_300_000, (large.bytesize - 5)..].each do |range|
        expect(client.download_chunk(key, range)).to be_bytes(large.byteslice(range))
      end
    end
  end

  describe "#exist? and #size" do
    it "tell existing and missing objects apart" do
      store("12345")
      expect([client.exist?(key), client.size(key), client.exist?("#{key}-not")]).to eq([true, 5, false])
    end

    it "use the size of the plaintext" do
      [0, 1, 16, 6_000_000].each do |size|
        store(random_bytes(size))
        expect(client.size(key)).to eq(size)
      end
    end
  end

  describe "a missing object" do
    it "raises a NotFoundError for every way of reading, and no block is called" do
      calls = [-> { client.download(key) }, -> { client.download(key) { raise "called" } },
               -> { client.download_chunk(key, 0..1) }, -> { client.size(key) }]
      calls.each do |call|
        expect(&call).to raise_error(EncryptedS3Service::NotFoundError) { |e|
          expect([e.code, e.retryable?]).to eq(["not-found", false])
        }
      end
    end

    it "can be deleted" do
      expect(client.delete(key)).to be_nil
      expect(client.delete_prefixed("#{key}/")).to be_nil
    end
  end

  describe "#delete and #delete_prefixed" do
    it "delete one object" do
      store("x")
      store("y", "#{key}2")
      client.delete(key)
      expect(traces_of(key)).to eq(["#{key}2"])
    end

    it "delete only the objects with a prefix" do
      names = %w[a/1 a/2 a/b/3 ab a].map { |name| key.sub("file", name) }
      names.each { |name| store("x", name) }
      client.delete_prefixed(key.sub("file", "a/"))
      expect(traces_of(key)).to match_array(names.last(2))
    end

    it "refuse an empty prefix, which would empty the bucket" do
      expect { client.delete_prefixed("") }.to raise_error(ArgumentError)
    end
  end

  describe "#compose" do
    it "joins objects in order and encrypts them under a new data key" do
      parts = [random_bytes(6_000_000, 1), "", random_bytes(10, 2), random_bytes(15_000_000, 3)]
      names = parts.map { |part| unique_key.tap { |name| store(part, name) } }
      client.compose(names, key)
      expect(stored_plaintext(key)).to be_bytes(parts.join)
      expect(names.map { |name| client.exist?(name) }).to all(be(true))
    end

    it "reads the object that it replaces before it replaces it" do
      store("again")
      client.compose([key, key], key)
      expect(client.download(key)).to eq("againagain")
    end

    it "stores nothing when a source is missing" do
      store(random_bytes(20 * TestStore::MEBIBYTE), source = unique_key)
      expect { client.compose([source, unique_key], key) }.to raise_error(EncryptedS3Service::NotFoundError)
      expect(traces_of(key)).to eq([])
    end
  end

  describe "a store that fails" do
    it "refuses wrong credentials with an AccessError" do
      client = new_client(secret_access_key: "wrong")
      [-> { client.download(key) }, -> { client.upload(key, StringIO.new("x")) }, -> { client.delete(key) },
       -> { client.exist?(key) }].each do |call|
        expect(&call).to raise_error(EncryptedS3Service::AccessError) { |e| expect(e.retryable?).to be(false) }
      end
    end

    it "raises a ConfigurationError that names a missing bucket" do
      client = new_client(bucket: "nosuchbucket")
      [-> { client.download(key) }, -> { client.upload(key, StringIO.new("x")) }].each do |call|
        expect(&call).to raise_error(EncryptedS3Service::ConfigurationError, /nosuchbucket/) { |e|
          expect(e.code).to eq("bucket-not-found")
        }
      end
    end

    it "raises a retryable TransportError if it cannot be reached" do
      listener = TCPServer.new("127.0.0.1", 0)
      endpoint = "http://127.0.0.1:#{listener.addr[1]}"
      listener.close
      client = described_class.new(**TestStore.settings_for(endpoint))
      expect { client.download(key) }
        .to raise_error(EncryptedS3Service::TransportError) { |e| expect(e.retryable?).to be(true) }
    end
  end

  it "shows no secret in any text that Ruby makes of the client or its errors" do
    secret = server.secret_access_key
    error = begin
      new_client(bucket: "nosuchbucket").download(key)
    rescue EncryptedS3Service::Error => e
      e
    end
    text = [client.inspect, client.to_s, [client].inspect, error.message, error.full_message, error.inspect].join
    expect(text).to include("specs")
    expect(text).not_to include(secret)
    expect(text.b).not_to include(TestStore::KEY)
    expect { Marshal.dump(client) }.to raise_error(TypeError)
  end

  it "receives no request when the client is built" do
    StallingServer.run do |server|
      described_class.new(**TestStore.settings_for(server.endpoint))
      expect(server.further_arrivals).to eq(0)
    end
  end

  describe "#download_file" do
    before { store("the object") }

    it "refuses what is no file, before a byte is written" do
      reading, writing = IO.pipe
      [[writing, "fifo"], [UNIXSocket.pair.first, "socket"], [StringIO.new, "StringIO"], [Pathname("a"), "Pathname"],
       [nil, "NilClass"]].each do |target, name|
        expect { client.download_file(key, target) }
          .to raise_error(ArgumentError, /not into a #{name}. Use `download` with a block/)
      end
      expect(reading.read_nonblock(1, exception: false)).to eq(:wait_readable)
    end

    it "says what is wrong with a file that is open for reading only" do
      File.open(__FILE__, "rb") do |file|
        expect { client.download_file(key, file) }.to raise_error(EncryptedS3Service::FileError, /Bad file descriptor/)
      end
    end
  end
end
