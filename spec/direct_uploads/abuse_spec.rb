# frozen_string_literal: true

require_relative "../rails_helper"
require_relative "../support/puma_server"
require_relative "../support/wire"

# A client that announces one thing and sends another, or whose announcement is invalid.
RSpec.describe "A client that lies about its file", type: :request do
  let(:data) { "the file" }
  let(:truth) { { filename: "a.txt", content_type: "text/plain", byte_size: data.bytesize, checksum: md5(data) } }

  def announce(changes = {}, **query)
    post rails_direct_uploads_path(**query), params: { blob: truth.merge(changes).compact }, as: :json
  end

  # @return [Integer] rows that the block made
  def rows
    before = ActiveStorage::Blob.count
    yield
    ActiveStorage::Blob.count - before
  end

  describe "when it announces it" do
    invalid = {
      "no size" => { byte_size: nil }, "a size that is no number" => { byte_size: "many" },
      "a negative size" => { byte_size: -1 }, "half a byte" => { byte_size: 1.5 },
      "an exponent" => { byte_size: "1e9" },
      "a size in a list" => { byte_size: [1] }, "a size in an object" => { byte_size: { a: 1 } },
      "no name" => { filename: nil }, "a name in a list" => { filename: ["a"] },
      "a number for a name" => { filename: 5 }, "an empty name" => { filename: "" },
      "a name of blanks" => { filename: " \r\n" },
      "a name of a megabyte" => { filename: "a" * 1_000_000 }, "a name with NUL" => { filename: "a\0b" },
      "a type of a megabyte" => { content_type: "a/#{"b" * 1_000_000}" }, "a type with NUL" => { content_type: "a/\0" },
      "no checksum" => { checksum: nil }, "an empty checksum" => { checksum: "" },
      "a checksum of a megabyte" => { checksum: "a" * 1_000_000 }, "a checksum in an object" => { checksum: { a: 1 } },
      "metadata of 5 MB" => { metadata: { a: "x" * 5_000_000 } },
      "metadata of many entries" => { metadata: (0..20_000).to_h { |at| ["k#{at}", 1] } }
    }

    invalid.each do |what, changes|
      it "gets an error and creates no row: #{what}" do
        expect(rows { announce(changes) }).to eq(0)
        expect(response).to have_http_status(422)
        expect(response.parsed_body["error"]).to match(/cannot be uploaded: `(#{changes.keys.first})` must/)
        expect(response.body.bytesize).to be < 200
      end
    end

    { "text" => "x", "a list" => [1], "a number" => 7 }.each do |what, blob|
      it "gets an error if the description is #{what}" do
        expect(rows { post rails_direct_uploads_path, params: { blob: blob }, as: :json }).to eq(0)
        expect(response).to have_http_status(422)
      end
    end

    it "gets an error without a description" do
      expect(rows { post rails_direct_uploads_path, params: {}, as: :json }).to eq(0)
      expect(response).to have_http_status(:bad_request)
    end

    [EncryptedS3Service::Client::MAXIMUM_SIZE + 1, (1 << 63) - 1, 1 << 63, 10**30, "9" * 5000].each do |size|
      it "gets an error if the file is too large, and creates no row: #{size.to_s[0, 20]}" do
        expect(rows { announce({ byte_size: size }) }).to eq(0)
        expect(response).to have_http_status(413)
        expect(response.parsed_body["error"]).to match(/too large/)
      end
    end

    it "is accepted in every valid form" do
      [{ byte_size: "8" }, { content_type: nil }, { content_type: "" },
       { metadata: { "custom" => { "a" => "ä" * 900 } } }, { filename: "😀" * 255 },
       { checksum: "sha256:#{"a" * 43}=" }, { byte_size: 0 }].each do |changes|
        expect(rows { announce(changes) }).to eq(1), changes.inspect
        expect(response).to have_http_status(:ok)
      end
    end

    it "is accepted with a number that is too large for Ruby" do
      text = { blob: truth.merge(metadata: { "custom" => { "a" => "number" } }) }.to_json.sub('"number"', "1e999")
      added = rows { post rails_direct_uploads_path, params: text, headers: { "Content-Type" => "application/json" } }
      expect([response.status, added]).to eq([200, 1])
    end

    it "cannot choose the key, the service or the tenant of the blob" do
      announce({ key: "chosen", service_name: "local", id: 1, created_at: "2000-01-01" })
      blob = ActiveStorage::Blob.find_signed!(response.parsed_body["signed_id"])
      expect(blob).to have_attributes(service_name: "encrypted", created_at: be > 1.minute.ago)
      expect(blob.key).not_to eq("chosen")
    end
  end

  describe "when it sends it" do
    def address(changes = {})
      announce(changes)
      @key = response.parsed_body["key"]
      URI(response.parsed_body["direct_upload"]["url"]).path
    end

    def stored? = server.head(bucket, @key)[0] == 200

    def put_with_length(path, length)
      env = Rack::MockRequest.env_for(path, method: "PUT", input: data)
      env.merge!("CONTENT_LENGTH" => length, "CONTENT_TYPE" => "text/plain")
      Rails.application.call(env).first
    end

    it "is refused with an invalid length, or one that no file has" do
      path = address
      { "" => 411, " 8" => 411, "8 " => 411, "+8" => 411, "0x8" => 411, "8,8" => 411, "8\n" => 411, "08" => 204,
        "9" => 422, "0" => 422, "68719476705" => 413, "9" * 19 => 413, "9" * 5000 => 413 }
        .sort_by { |_, status| -status }.each do |length, status|
          expect(put_with_length(path, length)).to eq(status), length[0, 20].inspect
          expect(stored?).to be(status == 204)
        end
    end

    it "cannot allocate memory by a false length, or hold a thread by a missing body" do
      path = address
      PumaServer.run(threads: 2) do |puma|
        Wire.ask(puma.socket, Wire.request("GET", "/busy"))
        before = puma.resident
        silent = Array.new(20) do |at|
          puma.socket.tap do |socket|
            length = at.even? ? 60_000_000_000 : data.bytesize
            socket.write("PUT #{path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n" \
                         "Content-Length: #{length}\r\n\r\nthe")
          end
        end
        began = Process.clock_gettime(Process::CLOCK_MONOTONIC)
        5.times { expect(Wire.ask(puma.socket, Wire.request("GET", "/busy")).body).to eq("0") }
        expect(Process.clock_gettime(Process::CLOCK_MONOTONIC) - began).to be < 10
        expect(puma.peak - before).to be < 60_000_000
        silent.each(&:close)
      end
      expect(stored?).to be(false)
    end

    it "is refused if its lengths are ambiguous between two servers" do
      path = address
      PumaServer.run(threads: 2) do |puma|
        { ["Content-Length: 8", "Content-Length: 9"] => 400, ["Content-Length: -8"] => 400,
          ["Content-Length: +8"] => 400, ["Content-Length: 0x8"] => 400,
          ["Content-Length: 8", "Transfer-Encoding: identity"] => 501 }.each do |headers, status|
          got = Wire.ask(puma.socket, "#{Wire.request("PUT", path, "Content-Type: text/plain", *headers)}#{data}")
          expect(got.status).to eq(status), "#{headers}: #{got.status}"
          expect(stored?).to be(false)
        end
      end
    end

    it "cannot overwrite or read another file by sending a second time" do
      path = address
      2.times { put path, params: data, headers: { "Content-Type" => "text/plain" } }
      expect([response.status, response.body]).to eq([204, ""])
      put path, params: data.swapcase, headers: { "Content-Type" => "text/plain" }
      expect([response.status, response.body]).to eq([422, ""])
      expect(stored_plaintext(@key)).to eq(data)
    end

    # The object is an orphan then. No row is looked up, because an application with a database for each tenant may not
    # have selected one for this request.
    it "can send the same file again after it was purged, while the address is valid" do
      path = address
      put path, params: data, headers: { "Content-Type" => "text/plain" }
      ActiveStorage::Blob.find_by!(key: @key).purge
      expect(stored?).to be(false)
      put path, params: "another", headers: { "Content-Type" => "text/plain" }
      expect([response.status, stored?]).to eq([422, false])
      put path, params: data, headers: { "Content-Type" => "text/plain" }
      expect([response.status, stored?]).to eq([204, true])
    end

    it "cannot send to a service that was changed to one that does not encrypt" do
      path = address
      allow(ActiveStorage::Blob.services).to receive(:fetch).and_call_original
      allow(ActiveStorage::Blob.services).to receive(:fetch).with("encrypted")
                                                            .and_return(ActiveStorage::Blob.services.fetch(:local))
      put path, params: data, headers: { "Content-Type" => "text/plain" }
      expect(response).to have_http_status(:not_found)
    end
  end
end
