# frozen_string_literal: true

require_relative "../support/fault_proxy"
require "action_dispatch"
require "puma/null_io"
require "rack/lint"
require "rack/test"

# For any kind of source, exactly its bytes are stored, or there is an error and nothing is stored.
RSpec.describe EncryptedS3Service::Client, "uploading from" do
  let(:mebibyte) { TestStore::MEBIBYTE }
  let(:client) { new_client(upload: { multipart_threshold: 5 * mebibyte, part_size: 5 * mebibyte }) }
  let(:key) { unique_key }
  let(:data) { random_bytes(12 * mebibyte) }

  def upload(io, **) = client.upload(key, io, **)

  def with_file(content)
    Tempfile.create("source", binmode: true) do |file|
      file.write(content)
      file.rewind
      yield file
    end
  end

  # A source that reports a wrong size.
  def lying(data, size) = StringIO.new(data).tap { |io| io.define_singleton_method(:size) { size } }

  describe "objects of Rails and Rack:" do
    it "the file of a form" do
      tempfile = Tempfile.new(binmode: true).tap { |file| file.write(data) && file.rewind }
      upload(ActionDispatch::Http::UploadedFile.new(tempfile:, filename: "a.bin", type: "a/b"))
      expect(stored_plaintext(key)).to be_bytes(data)
    end

    it "the file of a form in a test, from a path or from memory" do
      with_file(data) do |file|
        upload(Rack::Test::UploadedFile.new(file.path, "a/b", true))
        expect(stored_plaintext(key)).to be_bytes(data)
      end
      upload(Rack::Test::UploadedFile.new(StringIO.new("small"), original_filename: "a.txt"))
      expect(client.download(key)).to eq("small")
    end

    it "a request's body, with only the methods that Rack requires" do
      upload(Rack::Lint::Wrapper::InputWrapper.new(StringIO.new(data)))
      expect(stored_plaintext(key)).to be_bytes(data)
    end

    it "the body of a request that has none" do
      upload(Puma::NullIO.new)
      expect(stored_plaintext(key)).to eq("")
    end

    it "a socket" do
      here, there = UNIXSocket.pair
      writing = Thread.new { there.write(data) && there.close }
      upload(here)
      writing.join
      expect(stored_plaintext(key)).to be_bytes(data)
    end
  end

  describe "a file that changes while it is read:" do
    # Does it once, when the first bytes were read.
    def once(&block)
      lambda do |*|
        block&.call
        block = nil
      end
    end

    it "one that grows is stored with the added bytes" do
      with_file(data) do |file|
        upload(file, progress: once { File.open(file.path, "ab") { |other| other.write("added") } })
        expect(stored_plaintext(key)).to be_bytes("#{data}added")
      end
    end

    it "one that shrinks is stored with its new content" do
      with_file(data) do |file|
        upload(file, progress: once { File.truncate(file.path, 6 * mebibyte) })
        expect(stored_plaintext(key)).to be_bytes(data.byteslice(0, 6 * mebibyte))
      end
    end

    { "grows" => 13 << 20, "shrinks" => 6 << 20, "is emptied" => 0 }.each do |change, size|
      it "one that #{change} after its checksum was computed is an error, and nothing is stored" do
        with_file(data) do |file|
          expect { upload(file, checksum: md5(data), progress: once { File.truncate(file.path, size) }) }
            .to raise_error(EncryptedS3Service::ChecksumError)
        end
        expect(traces_of(key)).to eq([])
      end
    end
  end

  describe "a misleading source:" do
    { "too small" => 1, "nothing" => 0, "negative" => -1, "too large" => 1 << 30, "no number of bytes" => nil }
      .each do |what, size|
        it "a size that is #{what} does not change the stored bytes" do
          upload(lying(data, size), checksum: md5(data))
          expect(stored_plaintext(key)).to be_bytes(data)
        end
      end

    it "a `read` with strings of its own, or text" do
      parts = %w[grüße 日本語] * 1000
      source = Object.new
      source.define_singleton_method(:read) { |_length, _buffer| parts.shift }
      upload(source)
      expect(client.download(key)).to be_bytes((%w[grüße 日本語] * 1000).join)
    end

    it "a `read` that returns more than requested" do
      rest = [data]
      source = Object.new
      source.define_singleton_method(:read) { |_length, _buffer| rest.shift }
      upload(source)
      expect(stored_plaintext(key)).to be_bytes(data)
    end

    { "no bytes" => 42, "a list of bytes" => [1, 2] }.each do |what, answer|
      it "a `read` that returns #{what} is an error, and nothing is stored" do
        expect { upload(IoDoubles::ThenDo.new(11 * mebibyte) { answer }) }.to raise_error(StandardError)
        expect(traces_of(key)).to eq([])
      end
    end

    it "a source that raises other exceptions than a StandardError leaves nothing" do
      expect { upload(IoDoubles::ThenDo.new(11 * mebibyte) { raise NoMemoryError }) }.to raise_error(NoMemoryError)
      expect(traces_of(key)).to eq([])
    end
  end

  describe "more than 64 GiB - 32 bytes, which is the limit of one key," do
    let(:most) { 68_719_476_704 }

    # @return [Array] what was asked of the store
    def requests_of(&)
      FaultProxy.run(server.endpoint) do |proxy|
        expect { yield new_client(endpoint: proxy.endpoint) }.to raise_error(EncryptedS3Service::TooLargeError)
        proxy.requests
      end
    end

    it "is refused before the first request if the source has a size" do
      expect(requests_of { |client| client.upload(key, lying("x", most + 1)) }).to eq([])
    end

    it "is refused before the first request when it is in a file" do
      Tempfile.create do |file|
        file.truncate(most + 1)
        expect(requests_of { |client| client.upload(key, file) }).to eq([])
      end
    end

    it "does not include the part of a file before its position" do
      Tempfile.create do |file|
        file.truncate(most + 1)
        file.seek(-5, IO::SEEK_END)
        upload(file)
      end
      expect(client.download(key)).to eq("\0" * 5)
    end

    it "is one byte more than the allowed size of a source" do
      upload(lying("short", most))
      expect(client.download(key)).to eq("short")
    end
  end
end
