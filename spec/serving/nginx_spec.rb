# frozen_string_literal: true

require_relative "../rails_helper"
require_relative "../support/nginx"
require_relative "../support/puma_server"

# nginx as the documents configure it: files pass through it, and none of them stays on its disk.
RSpec.describe "nginx before the application", if: File.exist?("/proc/self/task") do
  before { skip(Nginx.missing) if Nginx.missing }

  def run(**, &)
    PumaServer.run { |puma| Nginx.run(puma.port, **, &) }
  end

  # A film of so many bytes, all zero except at its ends.
  def store(size)
    Tempfile.create(binmode: true) do |file|
      file.truncate(size)
      file.pwrite("end", size - 3)
      ActiveStorage::Blob.create_and_upload!(io: file, filename: "film.mp4", content_type: "video/mp4",
                                             service_name: "encrypted", identify: false)
    end
  end

  def path_of(blob) = ActiveStorage::Current.set(url_options: { host: "localhost" }) { URI(blob.url).path }

  # A visitor who takes a sip, then nothing until nginx has had time to fill files, then the rest.
  # @return [Array(Integer, Integer)] bytes that arrived, and the most that nginx has had in files
  def drink_slowly(nginx, path, pause:)
    socket = nginx.socket
    socket.write("GET #{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    head = +""
    head << socket.readpartial(1) until head.end_with?("\r\n\r\n")
    raise head unless head.start_with?("HTTP/1.1 200")

    most = 0
    paused_until = Process.clock_gettime(Process::CLOCK_MONOTONIC) + pause
    while Process.clock_gettime(Process::CLOCK_MONOTONIC) < paused_until
      most = [most, nginx.bytes_in_files].max
      sleep 0.1
    end
    [IO.copy_stream(socket, File::NULL), [most, nginx.bytes_in_files].max]
  end

  it "sends a slow visitor a whole film and writes nothing of it to its disk" do
    size = 60_000_000
    path = path_of(store(size))
    run { |nginx| expect(drink_slowly(nginx, path, pause: 3)).to eq([size, 0]) }
  end

  it "writes nothing to its disk with its default settings, because the response says so" do
    size = 60_000_000
    path = path_of(store(size))
    run(snippet: "") { |nginx| expect(drink_slowly(nginx, path, pause: 3)).to eq([size, 0]) }
    # What it would be.
    run(snippet: "proxy_ignore_headers X-Accel-Buffering;") do |nginx|
      expect(drink_slowly(nginx, path, pause: 3)).to match([size, be > 1_000_000])
    end
  end

  it "writes nothing of the responses of Rails' own proxy either" do
    blob = store(60_000_000)
    path = Rails.application.routes.url_helpers.rails_storage_proxy_path(blob, only_path: true)
    run do |nginx|
      sent, kept = drink_slowly(nginx, path, pause: 3)
      # In chunks, which have lines of their own.
      expect([sent >= 60_000_000, kept]).to eq([true, 0])
    end
  end

  it "sends a visitor a part, and the rest after a disconnection" do
    path = path_of(store(60_000_000))
    run do |nginx|
      first = nginx.connect { |http| http.get(path, "Range" => "bytes=0-9") }
      rest = nginx.connect do |http|
        http.get(path, "Range" => "bytes=59999990-", "If-Range" => first["etag"])
      end
      expect([rest.code, rest["etag"], rest.body]).to eq(["206", first["etag"], "#{"\0" * 7}end"])
    end
  end

  it "passes a direct upload on while it arrives, and writes nothing of it to its disk" do
    data = random_bytes(20_000_000)
    run do |nginx|
      announced = nginx.connect do |http|
        blob = { filename: "a.bin", content_type: "video/mp4", byte_size: data.bytesize, checksum: md5(data) }
        JSON.parse(http.post("/rails/active_storage/direct_uploads", { blob: blob }.to_json,
                             "Content-Type" => "application/json").body)
      end
      socket = nginx.socket
      socket.write("PUT #{URI(announced["direct_upload"]["url"]).path} HTTP/1.1\r\nHost: localhost\r\n" \
                   "Content-Type: video/mp4\r\nContent-Length: #{data.bytesize}\r\n\r\n")
      kept = data.scan(/.{1,100000}/mn).map do |piece|
        socket.write(piece)
        nginx.bytes_in_files
      end
      expect(socket.gets).to start_with("HTTP/1.1 204")
      expect(kept.max).to eq(0)
      expect(stored_plaintext(announced["key"])).to be_bytes(data)
    end
  end

  it "accepts the longest address of a file" do
    blob = ActiveStorage::Blob.create_and_upload!(io: StringIO.new("x"), filename: "#{"ש" * 240}.txt",
                                                  service_name: "encrypted")
    run { |nginx| expect(nginx.connect { |http| http.get(path_of(blob)) }.code).to eq("200") }
  end

  # Some minutes; LONG=1.
  it "sends a slow visitor 1.5 GB", if: ENV.key?("LONG"), patience: 1200 do
    size = 1_500_000_000
    path = path_of(blob = store(size))
    run { |nginx| expect(drink_slowly(nginx, path, pause: 8)).to eq([size, 0]) }
  ensure
    blob&.service&.delete(blob.key)
  end
end
