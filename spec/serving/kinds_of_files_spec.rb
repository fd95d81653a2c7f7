# frozen_string_literal: true

require_relative "../rails_helper"
require_relative "../support/aws_clients"
require_relative "../support/fault_proxy"

# Every stored file can be fetched, with any content and any announced type.
RSpec.describe "A link to a file of any kind", type: :request do
  let(:service) { ActiveStorage::Blob.services.fetch(:encrypted) }

  def link(key, type: "text/plain", name: "a.txt", disposition: :inline, service: self.service)
    ActiveStorage::Current.set(url_options: { host: "www.example.com" }) do
      service.url(key, expires_in: 60, filename: ActiveStorage::Filename.new(name), disposition: disposition,
                       content_type: type)
    end
  end

  def stored_as(type, **)
    service.upload(key = unique_key, StringIO.new("the file"))
    link(key, type: type, **)
  end

  it "returns scripts, which Rails protects from other origins, with forgery protection enabled" do
    before = ActionController::Base.allow_forgery_protection
    ActionController::Base.allow_forgery_protection = true
    %w[text/javascript application/javascript application/ecmascript text/html application/json].each do |type|
      get stored_as(type, name: "a.js")
      expect([response.status, response.body, response.media_type]).to eq([200, "the file", type])
    end
  ensure
    ActionController::Base.allow_forgery_protection = before
  end

  it "has the stored type with its parameters" do
    ["audio/webm;codecs=opus", "text/plain; charset=iso-8859-1", 'video/mp4; codecs="avc1, mp4a"', "x-a/y.z+xml"]
      .each do |type|
        get url = stored_as(type)
        expect(response.headers["content-type"]).to eq(type)
        names = %w[content-type content-length content-disposition etag content-security-policy]
        whole = response.headers.to_h.slice(*names)
        head url
        expect(response.headers.to_h.slice(*names)).to eq(whole)
        expect(response.body).to be_empty
      end
  end

  it "never has an invalid type or a header injected by its name" do
    [";x", "text", "/", "text/", "text/plain\nSet-Cookie: a=b", "text/plain\r\n\r\n<html>", "text/html\0", "",
     "téxt/plain", nil, "text/plain, text/html", "te xt/plain; a=b", "text/plain; a=\"b\nc\""].each do |type|
      get stored_as(type)
      expect(response.headers["content-type"]).to eq("application/octet-stream"), type.inspect
      expect(response.headers.keys.map(&:downcase)).not_to include("set-cookie")
      expect(response.body).to eq("the file")
    end
  end

  it "has the type without its parameters if only those are invalid, as those of recordings in browsers" do
    { "video/webm;codecs=vp9,opus" => "video/webm", "video/x-matroska;codecs=avc1,opus" => "video/x-matroska",
      "audio/ogg; codecs=opus; " => "audio/ogg", "image/png;" => "image/png", "text/plain; a" => "text/plain",
      "text/csv ; charset=utf 8" => "text/csv" }.each do |type, answered|
      get stored_as(type)
      expect(response.headers["content-type"]).to eq(answered)
      expect(response.body).to eq("the file")
    end
  end

  describe "that another client stored long ago, without its size" do
    let(:service) do
      entry = { service: "EncryptedS3", **TestStore.settings(security_profile: "v2_and_legacy") }
      ActiveStorage::Service.configure(:legacy, legacy: entry)
    end

    let(:key) do
      AwsClients.v1(TestStore::KEY).put_object(bucket: bucket, key: key = unique_key, body: "x" * 33)
      headers, body = stored(key)
      restore(key, headers.except("x-amz-meta-x-amz-unencrypted-content-length"), body)
      key
    end

    before do
      registry = ActiveStorage::Blob.services
      allow(registry).to receive(:fetch).and_call_original
      allow(registry).to receive(:fetch).with("legacy").and_return(service)
    end

    it "has the size in responses to GET and HEAD" do
      get url = link(key)
      expect(response.body).to eq("x" * 33)
      head url
      expect(response.headers).to include("content-length" => "33", "etag" => /\A"\h{32}"\z/)
    end

    it "is not sent again to a browser that has it" do
      get url = link(key)
      get url, headers: { "If-None-Match" => response.headers["etag"] }
      expect(response).to have_http_status(:not_modified)
      get url, headers: { "If-None-Match" => %("another") }
      expect(response.body).to eq("x" * 33)
    end

    it "has a size that is known only after reading it" do
      expect(service.stat(key)).to have_attributes(size: nil, format: "v1")
      server.put(bucket, short = unique_key, "short", "x-amz-meta-x-amz-key-v2" => "x", "x-amz-meta-x-amz-iv" => "x")
      expect { service.stat(short) }.to raise_error(ActiveStorage::IntegrityError, /too short/)
    end
  end

  describe "that cannot be read" do
    def answering(error)
      allow(service.client).to receive(:reader).and_raise(error)
      get stored_as("text/plain")
      response
    end

    it "is 410 if its key is destroyed" do
      expect(answering(EncryptedS3Service::KeyDestroyedError.new("destroyed"))).to have_http_status(:gone)
      expect(response.headers["cache-control"]).to eq("no-store")
      wrapper = ActionDispatch::ExceptionWrapper
      expect(wrapper.status_code_for_exception("EncryptedS3Service::KeyDestroyedError")).to eq(410)
    end

    it "is 409 if the store has archived it" do
      service.upload(key = unique_key, StringIO.new("frozen"))
      FaultProxy.run(server.endpoint) do |proxy|
        proxy.fault("GetObject", status: 403, answer: "<Error><Code>InvalidObjectState</Code></Error>")
        entry = { service: "EncryptedS3", **TestStore.settings(endpoint: proxy.endpoint) }
        archive = ActiveStorage::Service.configure(:archive, archive: entry)
        allow(ActiveStorage::Blob.services).to receive(:fetch).and_call_original
        allow(ActiveStorage::Blob.services).to receive(:fetch).with("archive").and_return(archive)
        get link(key, service: archive)
      end
      expect(response).to have_http_status(:conflict)
      expect(response.headers["cache-control"]).to eq("no-store")
      codes = %w[Archived Certificate Transport].map do |name|
        ActionDispatch::ExceptionWrapper.status_code_for_exception("EncryptedS3Service::#{name}Error")
      end
      expect(codes).to eq([409, 503, 503])
    end

    it "is 404 if it is deleted between its head and its first byte" do
      key = unique_key
      service.upload(key, StringIO.new("x" * 10))
      url = link(key)
      allow_any_instance_of(EncryptedS3Service::Native::Download)
        .to receive(:read_up_to).and_raise(EncryptedS3Service::NotFoundError, "gone")
      get url
      expect(response).to have_http_status(:not_found)
    end

    it "raises an error of Active Storage that an application's controller can rescue" do
      key = unique_key
      service.upload(key, StringIO.new("x" * 1000))
      headers, body = stored(key)
      restore(key, headers, body.tap { |bytes| bytes.setbyte(5, bytes.getbyte(5) ^ 1) })
      reader = service.reader(key)
      expect { reader.read(10) }.to raise_error(ActiveStorage::IntegrityError) { |error|
        expect(error.cause).to be_a(EncryptedS3Service::TamperedError)
      }
    end
  end

  # Rails has the setting from 7.2 on; before, it answers no such request.
  describe "of which several parts are requested", if: ActiveStorage.respond_to?(:streaming_max_ranges) do
    around do |example|
      allowed = ActiveStorage.streaming_max_ranges
      ActiveStorage.streaming_max_ranges = 5
      example.run
    ensure
      ActiveStorage.streaming_max_ranges = allowed
    end

    let(:data) { random_bytes(6.megabytes) }
    let(:key) { unique_key.tap { |key| service.upload(key, StringIO.new(data)) } }

    def parts
      boundary = response.headers["content-type"][/boundary=(\h+)/, 1]
      expect(response.headers["content-length"]).to eq(response.body.bytesize.to_s)
      response.body.b.split("\r\n--#{boundary}")[1...-1].map { |part| part.split("\r\n\r\n", 2) }
    end

    it "reads one version of it once, for parts in any order" do
      allow(service.client).to receive(:reader).and_call_original
      get link(key), headers: { "Range" => "bytes=-5,0-9,6000000-6000009" }
      expect(response).to have_http_status(:partial_content)
      expect(parts.map(&:last)).to eq([data[0..9], data[6_000_000..6_000_009], data[-5..]].map(&:b))
      expect(parts.map(&:first)).to all(include("Content-Type: text/plain"))
      expect(service.client).to have_received(:reader).once
    end

    it "joins parts that touch or overlap" do
      get link(key), headers: { "Range" => "bytes=5-9,0-4,3-12" }
      expect(response.headers["content-range"]).to eq("bytes 0-12/#{data.bytesize}")
      expect(response.body.b).to be_bytes(data[0..12])
    end

    it "refuses more parts than the application allows" do
      get link(key), headers: { "Range" => "bytes=0-0,2-2,4-4,6-6,8-8,10-10" }
      expect(response).to have_http_status(:range_not_satisfiable)
    end
  end
end
