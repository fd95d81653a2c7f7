# frozen_string_literal: true

require_relative "../rails_helper"
require_relative "../support/bare_input"

# How the file of a direct upload arrives, with any server in front of the application.
RSpec.describe EncryptedS3Service::DirectUploads::Arrival, type: :request do
  let(:data) { "what a browser sends" }

  def announce(data = self.data, type: "text/plain", name: "a.txt", checksum: md5(data), length: data.bytesize)
    @blob = ActiveStorage::Blob.create_before_direct_upload!(filename: name, byte_size: length, checksum: checksum,
                                                             content_type: type, service_name: "encrypted")
    ActiveStorage::Current.set(url_options: { host: "www.example.com" }) { @blob.service_url_for_direct_upload }
  end

  attr_reader :blob

  def stored? = server.head(bucket, blob.key)[0] == 200

  # @return [Integer] the status
  def put_directly(url, body, type: "text/plain", length: nil, **more)
    env = Rack::MockRequest.env_for(url, method: "PUT", **more)
    env["rack.input"] = body
    env["CONTENT_TYPE"] = type if type
    length ? env["CONTENT_LENGTH"] = length.to_s : env.delete("CONTENT_LENGTH")
    status, _, answer = Rails.application.call(env)
    answer.close if answer.respond_to?(:close)
    status
  end

  describe "its length" do
    it "is required: a chunked body is refused before any of it is read" do
      [nil, data.bytesize].each do |length|
        stream = BareInput.new(data)
        expect(put_directly(announce, stream, length: length, "HTTP_TRANSFER_ENCODING" => "chunked")).to eq(411)
        expect(stream.asked).to eq([])
      end
      expect(put_directly(announce, BareInput.new(data))).to eq(411)
      expect(put_directly(announce, BareInput.new(data), length: "20, 20")).to eq(411)
      expect(put_directly(announce, BareInput.new(data), length: "-20")).to eq(411)
      expect(stored?).to be(false)
    end

    it "is read in pieces that limit memory, whatever type the body claims" do
      types = %w[application/json application/x-www-form-urlencoded multipart/form-data;boundary=x text/plain / x]
      types.each do |type|
        text = "a" * 3_000_000
        stream = BareInput.new(text)
        expect(put_directly(announce(text, type: type), stream, type: type, length: text.bytesize)).to eq(204), type
        expect(stream.asked).to all(be_between(1, 1 << 20))
        expect(stored_plaintext(blob.key)).to eq(text)
      end
    end

    it "must be right: nothing is stored if it is too small or too large" do
      { "shorter" => data[0..-2], "longer" => "#{data}x", "much longer" => data * 100_000, "empty" => "" }
        .each do |what, sent|
          [StringIO.new(sent), BareInput.new(sent)].each do |body|
            expect(put_directly(announce, body, length: data.bytesize)).to eq(422), what
            expect(stored?).to be(false)
          end
        end
    end

    it "ends the reading of a body that is longer" do
      stream = BareInput.new(data * 1_000_000)
      expect(put_directly(announce, stream, length: data.bytesize)).to eq(422)
      expect(stream.asked.size).to be <= 3
    end

    it "may be zero" do
      [StringIO.new, BareInput.new(""), nil].each do |body|
        expect(put_directly(announce(""), body, length: 0)).to eq(204)
        expect(stored_plaintext(blob.key)).to eq("")
      end
    end

    it "is that of a Tempfile, as Puma passes large bodies" do
      Tempfile.create do |_|
        file = Tempfile.new.tap { |io| io.write("x" * 200_000) && io.rewind }
        expect(put_directly(announce("x" * 200_000), file, length: 200_000)).to eq(204)
        expect(stored_plaintext(blob.key)).to eq("x" * 200_000)
      end
    end
  end

  describe "its type" do
    same = {
      "audio/webm;codecs=opus" => ["audio/webm;codecs=opus", "audio/webm", 'audio/webm; codecs="opus"', "AUDIO/WEBM"],
      'video/mp4; codecs="avc1.42E01E, mp4a.40.2"' => ["video/mp4"],
      "Image/JPG" => ["image/jpeg", "image/pjpeg"],
      "image/x-png" => ["image/png"],
      "audio/x-wav" => %w[audio/wav audio/wave audio/vnd.wave],
      "application/javascript" => ["text/javascript", "application/x-javascript", "text/javascript;charset=UTF-8"],
      "text/plain" => ["text/plain;charset=UTF-8", " text/plain ", "text/plain, text/plain"],
      '"text/csv"' => ["text/csv", "application/csv"],
      "application/x-zip-compressed" => ["application/zip"],
      "text/xml" => ["application/xml"],
      nil => [nil, "", "application/octet-stream", "video/mp4", "null"],
      "" => [nil, "application/octet-stream"],
      "none" => ["none", "application/octet-stream", nil],
      "application/octet-stream" => [nil, "", "application/octet-stream"]
    }

    same.each do |announced, arrivals|
      it "#{announced.inspect} accepts #{arrivals.map(&:inspect).join(" or ")}" do
        arrivals.each do |arrived|
          url = announce(type: announced)
          status = put_directly(url, StringIO.new(data), type: arrived, length: data.bytesize)
          expect(status).to eq(204), arrived.inspect
        end
      end
    end

    { "video/mp4" => ["video/webm", "text/html", nil, "", "mp4"], "image/png" => ["image/jpeg"],
      "text/plain" => ["text/html;charset=text/plain", "text/html, text/plain"] }.each do |announced, arrivals|
      it "#{announced} does not accept #{arrivals.map(&:inspect).join(" or ")}" do
        arrivals.each do |arrived|
          url = announce(type: announced)
          status = put_directly(url, StringIO.new(data), type: arrived, length: data.bytesize)
          expect(status).to eq(422), arrived.inspect
          expect(stored?).to be(false)
        end
      end
    end

    it "is sent to the browser, even if none was announced" do
      headers = [nil, "", "audio/webm;codecs=opus"].map do |type|
        announce(type: type)
        blob.service_headers_for_direct_upload["Content-Type"]
      end
      expect(headers).to eq(["application/octet-stream", "application/octet-stream", "audio/webm;codecs=opus"])
    end

    it "is determined while the bytes arrive, so that attaching does not download the file" do
      png = "\x89PNG\r\n\x1A\n\0\0\0\rIHDR".b + ("x" * 5000)
      [StringIO.new(png), BareInput.new(png)].each do |body|
        url = announce(png, type: "text/plain", name: "picture")
        put_directly(url, body, length: png.bytesize)
        expect(blob.reload).to have_attributes(content_type: "image/png", identified: true)
        reads = []
        seen = ->(name, *) { reads << name }
        ActiveSupport::Notifications.subscribed(seen, /service_.*download.*\.active_storage/) do
          Document.new(file: blob.signed_id).valid?
        end
        expect(reads).to eq([])
      end
    end

    # A database that takes NUL has such names; PostgreSQL takes none.
    it "is determined for every file name" do
      ["a\0.pdf", "\0", "..", "a\u202Efdp.exe", "\xFF.txt"].each do |name|
        url = announce("%PDF-1.4", name: name)
        expect(put_directly(url, StringIO.new("%PDF-1.4"), length: 8)).to eq(204), name.inspect
        expect(blob.reload).to have_attributes(content_type: "application/pdf", identified: true)
      end
    end

    it "does not change when the file is refused" do
      put_directly(announce(type: "text/plain", name: "x.png"), StringIO.new("\x89PNG\r\n\x1A\n not at all"),
                   length: data.bytesize)
      expect(blob.reload).to have_attributes(content_type: "text/plain", identified: nil)
    end
  end

  describe "its time" do
    let(:late) { (ActiveStorage.service_urls_expire_in + 1.minute).to_i }

    it "is that of the beginning of the request, if the server reports how long it waited for the body" do
      url = announce
      sent = ->(waited) { put_directly(url, StringIO.new(data), length: data.bytesize, **waited) }
      travel(late.seconds) do
        expect(sent.call({ "puma.request_body_wait" => 30_000 })).to eq(404)
        # The client controls the headers.
        expect(sent.call({ "HTTP_PUMA_REQUEST_BODY_WAIT" => "90000", "HTTP_X_REQUEST_START" => "t=1" })).to eq(404)
        expect(sent.call({ "puma.request_body_wait" => "90000" })).to eq(404)
        expect(sent.call({ "puma.request_body_wait" => 90_000.0 })).to eq(204)
      end
    end

    it "is longer for a large file, because a server may read it before the application sees the request" do
      service = ActiveStorage::Blob.services.fetch(:encrypted)
      token_of = lambda do |length|
        ActiveStorage::Current.set(url_options: { host: "localhost" }) do
          service.url_for_direct_upload("k", expires_in: 300, content_type: "a/b", content_length: length,
                                             checksum: "c")
        end[%r{[^/]+\z}]
      end
      good = lambda do |token, seconds|
        travel(seconds.seconds) do
          EncryptedS3Service::Serving::Token.verify(token, purpose: :encrypted_s3_direct_upload)
        end
      end
      film = token_of.call(2_000_000_000)
      expect(good.call(film, 300 + (8 * 3600))).to include(key: "k")
      expect(good.call(film, 300 + (9 * 3600))).to be_nil
      expect(good.call(token_of.call(1000), 302)).to be_nil
    end
  end

  describe "once it is stored" do
    # Two files with one MD5 are easily made (RFC 6151).
    it "is not replaced: the address is valid for one file" do
      url = announce
      expect(put_directly(url, StringIO.new(data), length: data.bytesize)).to eq(204)
      before = object_itself(blob.key)
      expect(put_directly(url, StringIO.new(data), length: data.bytesize)).to eq(204)
      expect(put_directly(url, BareInput.new(data), length: data.bytesize)).to eq(204)
      expect(put_directly(url, StringIO.new(data.reverse), length: data.bytesize)).to eq(422)
      expect(object_itself(blob.key)).to eq(before)
    end
  end

  it "is refused with a checksum of an unknown kind, or an invalid one" do
    ["crc32:AAAA", "md4:AAAA", "not base64", "", nil].each do |checksum|
      service = ActiveStorage::Blob.services.fetch(:encrypted)
      url = ActiveStorage::Current.set(url_options: { host: "localhost" }) do
        service.url_for_direct_upload(key = unique_key, expires_in: 60, content_type: "text/plain",
                                                        content_length: data.bytesize, checksum: checksum)
               .tap { @key = key }
      end
      expect(put_directly(url, StringIO.new(data), length: data.bytesize)).to eq(422), checksum.inspect
      expect(server.head(bucket, @key)[0]).to eq(404)
    end
  end

  it "holds no database connection while it is stored" do
    url = announce
    pool = ActiveRecord::Base.connection_pool
    held = []
    body = BareInput.new(data)
    body.define_singleton_method(:read) do |*arguments|
      held << pool.active_connection?
      super(*arguments)
    end
    organisation = Organisation.create!(name: "a")
    Thread.new do
      put_directly(url, body, length: data.bytesize, "HTTP_X_ORGANISATION" => organisation.id.to_s)
    end.join
    expect(stored?).to be(true)
    expect(held).not_to be_empty
    expect(held).to all(be_falsy)
  end
end
