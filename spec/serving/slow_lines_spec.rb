# frozen_string_literal: true

require_relative "../rails_helper"
require_relative "../support/puma_server"

# Visitors whose lines are slow, or who take a break, at the application in Puma.
RSpec.describe "A visitor on a slow line" do
  around do |example|
    setup = "ActiveStorage.service_urls_expire_in = 2"
    PumaServer.run(setup: setup) { |puma| (@puma = puma) && example.run }
  end

  attr_reader :puma

  let(:data) { random_bytes(20_000) }

  # @return [String] the path that a direct upload is sent to
  def announce
    blob = { filename: "a.bin", content_type: "application/pdf", byte_size: data.bytesize, checksum: md5(data) }
    answer = puma.connect do |http|
      http.post("/rails/active_storage/direct_uploads", { blob: blob }.to_json, "Content-Type" => "application/json")
    end
    @key = JSON.parse(answer.body)["key"]
    URI(JSON.parse(answer.body)["direct_upload"]["url"]).path
  end

  def begin_sending(path, *more)
    puma.socket.tap do |socket|
      socket.write(["PUT #{path} HTTP/1.1", "Host: localhost", "Content-Type: application/pdf",
                    "Content-Length: #{data.bytesize}", *more, "", ""].join("\r\n"))
    end
  end

  def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)

  # The body, a little at a time, for so many seconds.
  def send_slowly(socket, seconds)
    pieces = data.scan(/.{1,1000}/mn)
    pieces.each do |piece|
      sleep(seconds.fdiv(pieces.size))
      socket.write(piece)
    end
  end

  it "can finish a direct upload that began in time, however long it takes" do
    socket = begin_sending(announce)
    send_slowly(socket, 4)
    expect(socket.gets).to start_with("HTTP/1.1 204")
    expect(stored_plaintext(@key)).to be_bytes(data)
  end

  it "cannot begin a direct upload too late" do
    path = announce
    began = now
    sleep 0.1 while now < began + 4
    socket = begin_sending(path)
    socket.write(data)
    expect(socket.gets).to start_with("HTTP/1.1 404")
    expect(server.head(bucket, @key)[0]).to eq(404)
  end

  it "who waits for 100 Continue gets it" do
    socket = begin_sending(announce, "Expect: 100-continue")
    expect(socket.gets).to start_with("HTTP/1.1 100")
    expect(socket.gets).to eq("\r\n")
    socket.write(data)
    expect(socket.gets).to start_with("HTTP/1.1 204")
  end

  it "can send a chunked body, whose length Puma counts before the application sees it" do
    socket = puma.socket
    socket.write("PUT #{announce} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/pdf\r\n" \
                 "Transfer-Encoding: chunked\r\n\r\n#{data.bytesize.to_s(16)}\r\n", data, "\r\n0\r\n\r\n")
    expect(socket.gets).to start_with("HTTP/1.1 204")
    expect(stored_plaintext(@key)).to be_bytes(data)
  end

  it "who pauses longer than the server waits continues with the rest" do
    film = random_bytes(30_000_000)
    blob = ActiveStorage::Blob.create_and_upload!(io: StringIO.new(film), filename: "film.mp4", identify: false,
                                                  content_type: "video/mp4", service_name: "encrypted")
    path = ActiveStorage::Current.set(url_options: { host: "localhost" }) { URI(blob.url).path }
    socket = puma.socket
    socket.write("GET #{path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
    head = +""
    head << socket.readpartial(1) until head.end_with?("\r\n\r\n")
    etag = head[/^etag: (.*)\r$/i, 1]
    # Puma gives up when nothing was taken for ten seconds.
    deadline = now + 60
    sleep 0.2 until puma.visitors.zero? || now > deadline
    had = socket.read.b
    expect(had.bytesize).to be < film.bytesize
    expect(film).to start_with(had)
    rest = puma.connect do |http|
      http.get(path, "Range" => "bytes=#{had.bytesize}-", "If-Range" => etag)
    end
    expect([rest.code, rest["etag"]]).to eq(["206", etag])
    expect(had + rest.body.b).to be_bytes(film)
  end
end
