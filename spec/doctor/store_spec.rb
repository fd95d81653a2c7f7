# frozen_string_literal: true

require_relative "../support/examined_service"
require_relative "../support/http_proxy_server"
require_relative "../support/quirky_stores"
require_relative "../support/tls_proxy"

RSpec.describe EncryptedS3Service::Doctor do
  include_context "with an entry to examine"

  describe "of the store" do
    it "reports an unreachable store, and stops there" do
      examine(endpoint: "http://127.0.0.1:1")
      expect(findings["endpoint"]).to match(["FAILED", /127\.0\.0\.1:1 does not respond: .*connection.*Check/i])
      expect(findings.keys.last).to eq("endpoint")
    end

    it "reports an untrusted certificate" do
      skip "needs the plain server" unless server.endpoint.start_with?("http:")
      examine(endpoint: server.endpoint.sub("http:", "https:"))
      expect(findings["endpoint"]).to match(["FAILED", /does not respond: /])
    end

    it "fails for a clock that is more than five minutes off, in either direction" do
      { 400 => "behind", -400 => "ahead of" }.each do |seconds, word|
        SkewedStore.run(server.endpoint, seconds) do |store|
          output.truncate(output.rewind)
          expect(examine(endpoint: store.endpoint)).to be(false)
          expect(findings["clock"]).to match(["FAILED", /\A(399|400|401) seconds #{word} the store's.*NTP/])
        end
      end
    end

    it "accepts a clock that is slightly off" do
      SkewedStore.run(server.endpoint, 120) do |store|
        examine(endpoint: store.endpoint)
        expect(findings["clock"]).to match(["ok", /\A(119|120|121) seconds behind the store's/])
      end
    end

    it "names the wrong credential" do
      expect(examine(secret_access_key: "wrong")).to be(false)
      expect(findings["credentials"]).to match(["FAILED", /SignatureDoesNotMatch.*secret_access_key/])
      expect(findings.keys.last).to eq("credentials")
    end

    it "reports a missing bucket" do
      examine(bucket: "no-such-bucket")
      expect(statuses["credentials"]).to eq("ok")
      expect(findings["bucket"]).to match(["FAILED", /"no-such-bucket" does not exist/])
    end

    it "reports that everybody may read the bucket" do
      OpenStore.run(server.endpoint, server) do |store|
        expect(examine(endpoint: store.endpoint)).to be(true)
        expect(findings["public access"]).to match(["warning", /anybody can read.*ciphertext/])
      end
    end

    it "names the setting for a store that refuses checksums, and continues without them" do
      ChecksumRefusingStore.run(server.endpoint) do |store|
        expect(examine(endpoint: store.endpoint)).to be(false)
        expect(findings["checksums"])
          .to match(["FAILED", /400 InvalidArgument.*Set `request_checksum_calculation: when_required`/])
        expect(statuses.values.count("FAILED")).to eq(1)
        expect_nothing_left
      end
    end

    it "accepts such a store if that is set" do
      ChecksumRefusingStore.run(server.endpoint) do |store|
        expect(examine(endpoint: store.endpoint, request_checksum_calculation: "when_required")).to be(true)
        expect(findings["checksums"]).to match(["ok", /as this store needs it/])
      end
    end
  end

  describe "of a service behind a proxy of the environment" do
    include_context "without proxies in the environment"

    let(:endpoint) { "http://s3.proxied.test:#{URI(server.endpoint).port}" }

    it "uses it and names it, without its password" do
      HttpProxyServer.run(URI(endpoint).port) do |proxy|
        ENV["http_proxy"] = proxy.url("me:s3cret")
        expect(examine(endpoint: endpoint)).to be(true)
        expect(findings["endpoint"].last).to include("through the proxy 127.0.0.1:#{URI(proxy.url).port} of the env")
      end
      expect(output.string).not_to include("s3cret")
    end

    it "prefers the one of the entry" do
      ENV["http_proxy"] = "http://nowhere.test:1"
      HttpProxyServer.run(URI(endpoint).port) do |proxy|
        examine(endpoint: endpoint, http_proxy: proxy.url)
        expect(findings["endpoint"].last).to include("through the proxy 127.0.0.1:#{URI(proxy.url).port} responds")
      end
    end

    it "names none if the store is reached directly" do
      ENV.update("http_proxy" => "http://nowhere.test:1", "HTTPS_PROXY" => "http://nowhere.test:1")
      expect(examine).to be(true)
      expect(findings["endpoint"].last).not_to include("proxy")
    end
  end

  it "names the problem of a certificate, and does not suggest the network" do
    TlsProxy.run(URI(server.endpoint), :expired) do |tls|
      examine(endpoint: tls.endpoint)
      expect(findings["endpoint"]).to match(["FAILED", /does not respond: .*certificate/i])
      expect(findings["endpoint"].last).not_to include("network")
    end
  end
end
