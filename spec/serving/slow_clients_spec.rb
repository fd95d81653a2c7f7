# frozen_string_literal: true

require_relative "../rails_helper"
require_relative "../support/puma_server"

# Visitors with slow lines, visitors who leave, visitors with large files: a worker has memory for the others, too.
RSpec.describe "A visitor of the application in Puma", if: File.exist?("/proc/self/status") do
  around { |example| PumaServer.run { |puma| (@puma = puma) && example.run } }

  attr_reader :puma

  let(:size) { 60_000_000 }
  let(:blob) { Tempfile.create { |file| store(file.tap { file.truncate(size) }) } }

  def store(io)
    ActiveStorage::Blob.create_and_upload!(io: io, filename: "film.mp4", content_type: "video/mp4", identify: false)
  end

  def path_of(blob)
    ActiveStorage::Current.set(url_options: { host: "localhost" }) { URI(blob.url).path }
  end

  # Asks for the file and takes no more than the first bytes of it.
  def take_a_sip(path)
    puma.socket.tap do |socket|
      socket.write("GET #{path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
      raise "no answer" unless socket.readpartial(1000).start_with?("HTTP/1.1 200")
    end
  end

  def eventually(patience = 20)
    deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + patience
    until (value = yield)
      raise "not within #{patience} s" if Process.clock_gettime(Process::CLOCK_MONOTONIC) > deadline

      sleep 0.05
    end
    value
  end

  it "who reads a film slowly holds little memory, no file and no database connection, and nothing after leaving" do
    path = path_of(blob)
    take_a_sip(path).close
    eventually { puma.visitors.zero? }
    before = puma.resident
    visitors = Array.new(8) { take_a_sip(path) }
    expect(puma.visitors).to eq(8)
    expect([puma.busy_connections, puma.temporary_files]).to eq([0, 0])
    # The kernel and Puma hold the same for every answer; a film each would be 480 MB.
    expect(puma.resident - before).to be < 120_000_000
    visitors.each(&:close)
    expect(eventually { puma.visitors.zero? }).to be(true)
  end

  # @return [Hash] see DirectUploadsController in Rails
  def announce(http, file)
    blob = { filename: "film.mp4", content_type: "video/mp4", byte_size: file.size,
             checksum: OpenSSL::Digest::MD5.file(file.path).base64digest }
    answer = http.post("/rails/active_storage/direct_uploads", { blob: blob }.to_json,
                       "Content-Type" => "application/json")
    JSON.parse(answer.body)
  end

  def put_request(announced, file)
    put = Net::HTTP::Put.new(URI(announced["direct_upload"]["url"]).path, announced["direct_upload"]["headers"])
    put.body_stream = file
    put.content_length = file.size
    put
  end

  it "who uploads a large film directly needs no more memory than for a small one" do
    Tempfile.create do |file|
      file.truncate(600_000_000)
      puma.connect do |http|
        announced = announce(http, file)
        before = puma.resident
        expect(http.request(put_request(announced, file)).code).to eq("204")
        # Ten parts of 5 MiB are in flight, and Ruby has pieces of the body that it has not collected yet.
        expect(puma.peak - before).to be < 250_000_000
        expect(new_client.size(announced["key"])).to eq(600_000_000)
        new_client.delete(announced["key"])
      end
    end
  end

  it "who leaves during an upload leaves nothing behind" do
    Tempfile.create do |file|
      file.truncate(20_000_000)
      announced = puma.connect { |http| announce(http, file) }
      puma.socket.tap do |socket|
        socket.write("PUT #{URI(announced["direct_upload"]["url"]).path} HTTP/1.1\r\nHost: localhost\r\n" \
                     "Content-Type: video/mp4\r\nContent-Length: 20000000\r\n\r\n", "\0" * 10_000_000)
      end.close
      eventually { puma.temporary_files.zero? }
      expect(server.head(bucket, announced["key"])[0]).to eq(404)
      expect(server.multipart_uploads(bucket).map { |upload| upload[:key] }).not_to include(announced["key"])
    end
  end
end
