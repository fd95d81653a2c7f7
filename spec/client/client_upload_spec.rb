# frozen_string_literal: true

RSpec.describe EncryptedS3Service::Client, "#upload" do
  let(:client) { new_client }
  let(:key) { unique_key }
  let(:data) { random_bytes(3_000_000) }

  def upload(io, **) = client.upload(key, io, **)

  it "stores objects that another implementation of the format decrypts to the same bytes" do
    upload(StringIO.new(data))
    expect(stored_plaintext(key)).to be_bytes(data)
  end

  it "returns the number of stored bytes and the object's ETag" do
    result = upload(StringIO.new(data))
    expect(result).to include(bytes: 3_000_000, etag: include(server.head(bucket, key)[1].fetch("etag").delete('"')))
  end

  it "writes the key's id into the material description, and `{}` for an empty id" do
    upload(StringIO.new("x"))
    new_client(encryption_key_id: "").upload(anonymous = unique_key, StringIO.new("x"))
    expect(stored(key).first["x-amz-meta-x-amz-matdesc"]).to include(TestStore::KEY_ID)
    expect(stored(anonymous).first["x-amz-meta-x-amz-matdesc"]).to eq("{}")
  end

  it "never encrypts two objects under the same data key or nonce" do
    keys = Array.new(2) { unique_key.tap { |name| client.upload(name, StringIO.new("same")) } }
    first, second = keys.map { |name| stored(name) }
    expect(first.last).not_to eq(second.last)
    %w[key-v2 iv].each do |entry|
      expect(first.first["x-amz-meta-x-amz-#{entry}"]).not_to eq(second.first["x-amz-meta-x-amz-#{entry}"])
    end
  end

  it "sends S3 no type, checksum or part of the plaintext" do
    text = "a plaintext that repeats itself. " * 1000
    upload(StringIO.new(text), checksum: md5(text))
    headers, body = stored(key)
    expect(headers["content-type"]).to eq("application/octet-stream")
    expect(body).not_to include("repeats")
    expect(headers.to_a.join(" ")).not_to include(md5(text))
    expect(headers.to_a.join(" ")).not_to include(OpenSSL::Digest.hexdigest("MD5", text))
  end

  it "sends S3 the settings of `upload`, and the given content type" do
    new_client(upload: { cache_control: "no-store" }).upload(key, StringIO.new("x"), content_type: "text/plain")
    expect(server.head(bucket, key)[1]).to include("cache-control" => "no-store", "content-type" => "text/plain")
  end

  ["a\nb: c", "text/plain\0", "\x7f"].each do |type|
    it "refuses the content type #{type.inspect}, in every store" do
      Dir.mktmpdir do |root|
        folder = EncryptedS3Service::Client.new(root: root, encryption_key: TestStore::KEY)
        [client, folder].each do |store|
          expect { store.upload(key, StringIO.new("x"), content_type: type) }
            .to raise_error(ArgumentError, /content_type must have no control characters/)
          expect(store.exist?(key)).to be(false)
        end
      end
    end
  end

  it "stores a large file in several parts" do
    large = random_bytes(20 * TestStore::MEBIBYTE)
    expect(upload(StringIO.new(large))[:etag]).to match(/-\d+"?\z/)
    expect(stored_plaintext(key)).to be_bytes(large)
  end

  it "accepts keys with spaces, signs and letters of all kinds" do
    names = ["a b+c", "ü/ñ/日本語", "100%&?#=;", "~!*'()", "🔐"].map { |name| unique_key(name) }
    names.each { |name| client.upload(name, StringIO.new(name)) }
    expect(names.map { |name| client.download(name).force_encoding("UTF-8") }).to eq(names)
    expect(names.map { |name| server.get(bucket, name)[0] }).to all(eq(200))
  end

  ["", nil, :symbol, "\xFF"].each do |wrong|
    it "refuses the key #{wrong.inspect}" do
      expect { client.upload(wrong, StringIO.new("x")) }.to raise_error(ArgumentError, /key must/)
    end
  end

  describe "the checksum" do
    it "accepts the right one, in one request and in parts" do
      [data, random_bytes(20 * TestStore::MEBIBYTE)].each do |bytes|
        upload(StringIO.new(bytes), checksum: md5(bytes))
        expect(client.size(key)).to eq(bytes.bytesize)
      end
    end

    [3_000_000, 20 * TestStore::MEBIBYTE].each do |size|
      it "stores nothing when the checksum of #{size} bytes is wrong" do
        expect { upload(StringIO.new(random_bytes(size)), checksum: md5("other")) }
          .to raise_error(EncryptedS3Service::ChecksumError) { |e| expect(e.code).to eq("checksum-mismatch") }
        expect(traces_of(key)).to eq([])
      end

      it "keeps the older object when the checksum of #{size} bytes is wrong" do
        upload(StringIO.new("the old one"))
        expect { upload(StringIO.new(random_bytes(size)), checksum: md5("other")) }
          .to raise_error(EncryptedS3Service::ChecksumError)
        expect(client.download(key)).to eq("the old one")
        expect(traces_of(key)).to eq([key])
      end
    end
  end

  describe "a source" do
    it "may be empty" do
      expect(upload(StringIO.new(""))[:bytes]).to eq(0)
      expect(stored_plaintext(key)).to eq("")
    end

    it "is read from its position, and neither rewound nor closed" do
      io = StringIO.new("0123456789")
      io.seek(4)
      upload(io)
      expect(client.download(key)).to eq("456789")
      expect(io).to have_attributes(eof?: true, closed?: false, pos: 10)
    end

    it "may be a pipe, which has no size and cannot be rewound" do
      reader, writer = IO.pipe.each(&:binmode)
      writing = Thread.new { writer.write(data) && writer.close }
      upload(reader)
      writing.join
      expect(client.download(key)).to be_bytes(data)
    end

    it "may return fewer bytes than requested before its end" do
      upload(source = IoDoubles::ShortReads.new(data, 70_000))
      expect(client.download(key)).to be_bytes(data)
      expect(source.calls).to be > 40
    end

    it "has ended when it returns an empty string" do
      upload(IoDoubles::ThenDo.new(10) { "" })
      expect(client.download(key)).to eq("x" * 10)
    end

    it "leaves nothing when it raises at any position" do
      [1_000_000, 30 * TestStore::MEBIBYTE].each do |bytes|
        expect { upload(IoDoubles::ThenDo.new(bytes) { raise IOError, "the disk is gone" }) }
          .to raise_error(IOError, "the disk is gone")
        expect(traces_of(key)).to eq([])
      end
    end

    it "leaves nothing when it throws" do
      thrown = catch(:enough) { upload(IoDoubles::ThenDo.new(30 * TestStore::MEBIBYTE) { throw :enough, :thrown }) }
      expect([thrown, traces_of(key)]).to eq([:thrown, []])
    end

    it "must have a read method" do
      expect { upload("a string") }
        .to raise_error(ArgumentError, "An io must respond to `read`, but a String does not.")
    end
  end

  describe "a file" do
    # A file in a folder of its own that is gone after the block.
    def with_file(content)
      Dir.mktmpdir do |folder|
        path = File.join(folder, "file")
        File.binwrite(path, content)
        yield path
      end
    end

    it "is read from its position and left at its end" do
      with_file(data) do |path|
        File.open(path, "rb") do |file|
          file.seek(1_000_000)
          upload(file)
          expect([file.eof?, file.pos, file.closed?]).to eq([true, 3_000_000, false])
        end
      end
      expect(client.download(key)).to be_bytes(data.byteslice(1_000_000..))
    end

    it "is sent from the position of its reader if Ruby has buffered some of it" do
      with_file("first line\nsecond line\n") do |path|
        File.open(path) do |file|
          file.gets
          upload(file)
        end
      end
      expect(client.download(key)).to eq("second line\n")
    end

    it "is sent with unflushed writes" do
      Tempfile.create do |file|
        file.write("written")
        file.rewind
        file.write("WRI")
        file.pos = 1
        upload(file)
      end
      expect(client.download(key)).to eq("RItten")
    end

    it "is read even if it was unlinked, as Tempfiles may be" do
      file = Tempfile.new
      file.write("still there")
      file.rewind
      file.unlink
      upload(file)
      expect(client.download(key)).to eq("still there")
      file.close
    end

    it "is the one that was opened, even if its name belongs to another file now" do
      with_file("the opened one") do |path|
        File.open(path, "rb") do |file|
          File.binwrite("#{path}.new", "another")
          File.rename("#{path}.new", path)
          upload(file)
        end
      end
      expect(client.download(key)).to eq("the opened one")
    end

    it "is read by its read method if it has one of its own" do
      with_file("the file") do |path|
        File.open(path, "rb") do |file|
          file.define_singleton_method(:read) { |*arguments| super(*arguments)&.upcase }
          upload(file)
        end
      end
      expect(client.download(key)).to eq("THE FILE")
    end

    it "is sent byte by byte in every encoding" do
      with_file("gr\xFC\xDFe\r\n".b) do |path|
        ["r", "r:iso-8859-1", "r:iso-8859-1:utf-8", "rt"].each do |mode|
          File.open(path, mode) { |file| upload(file) }
          expect(client.download(key)).to eq("gr\xFC\xDFe\r\n".b)
        end
      end
    end

    it "may be large" do
      large = random_bytes((20 * TestStore::MEBIBYTE) + 1)
      with_file(large) { |path| File.open(path, "rb") { |file| upload(file, checksum: md5(large)) } }
      expect(stored_plaintext(key)).to be_bytes(large)
    end

    it "that cannot be read is an error, and nothing is stored" do
      with_file("x") do |path|
        File.open(path, "ab") { |file| expect { upload(file) }.to raise_error(IOError) }
        closed = File.open(path, "rb").tap(&:close)
        expect { upload(closed) }.to raise_error(IOError)
      end
      expect(traces_of(key)).to eq([])
    end
  end

  describe "progress" do
    {
      "a stream" => ->(bytes) { StringIO.new(bytes) },
      "a file" => ->(bytes) { Tempfile.new.tap { |file| file.binmode.write(bytes) && file.rewind } }
    }.each do |name, make|
      it "counts the bytes that S3 has of #{name}, from 0 to the size" do
        steps = []
        size = 20 * TestStore::MEBIBYTE
        upload(make.call(random_bytes(size)), progress: ->(*step) { steps << step })
        expect(steps.map(&:last).uniq).to eq([size])
        expect(steps.map(&:first)).to eq(steps.map(&:first).sort).and(end_with(size)).and(all(be_between(0, size)))
        expect(steps.size).to be > 2
      end
    end

    it "has no total for a source without a size" do
      totals = []
      upload(IoDoubles::ShortReads.new("data", 2), progress: ->(_bytes, total) { totals << total })
      expect(totals.uniq).to eq([nil])
    end

    it "that raises ends the upload and stores nothing" do
      expect { upload(StringIO.new(data), progress: ->(*) { raise "stop" }) }.to raise_error("stop")
      expect(traces_of(key)).to eq([])
    end
  end
end
