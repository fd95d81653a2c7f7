# frozen_string_literal: true

require_relative "../support/http_proxy_server"
require_relative "../support/tls_proxy"

# Networks from which a store can be reached through a proxy only.
RSpec.describe EncryptedS3Service::Client, "behind an HTTP proxy" do
  include_context "without proxies in the environment"

  # No name server knows it.
  let(:host) { "s3.proxied.test" }
  let(:server_port) { URI(server.endpoint).port }
  let(:plain) { { endpoint: "http://#{host}:#{server_port}", retry_limit: 0 } }

  def expect_to_work(**settings)
    client = new_client(**settings)
    client.upload(key = unique_key("Übersicht 1.pdf"), StringIO.new(data = random_bytes(6 << 20)))
    expect(client.download(key)).to be_bytes(data)
    client.delete(key)
    expect(client.exist?(key)).to be(false)
  end

  def over_tls
    TlsProxy.run(URI(server.endpoint), :proxied) do |tls|
      Tempfile.create("ca") do |file|
        file.write(tls.authority)
        file.close
        yield tls.port, { endpoint: "https://#{host}:#{tls.port}", ssl_ca_bundle: file.path, retry_limit: 0 }
      end
    end
  end

  it "sends plain requests to http_proxy, with the whole URL" do
    HttpProxyServer.run(server_port) do |proxy|
      expect_to_work(**plain, http_proxy: proxy.url)
      expect(proxy.asked.map { |line| line[%r{\A\w+ http://[^/]+}] }.uniq.sort)
        .to eq(%w[DELETE GET HEAD PUT].map { |verb| "#{verb} http://#{host}:#{server_port}" })
    end
  end

  it "opens a tunnel through http_proxy for TLS" do
    over_tls do |port, settings|
      HttpProxyServer.run(port) do |proxy|
        expect_to_work(**settings, http_proxy: URI(proxy.url))
        expect(proxy.asked.uniq).to eq(["CONNECT #{host}:#{port} HTTP/1.1"])
      end
    end
  end

  it "sends the proxy the decoded user and password of its URL" do
    HttpProxyServer.run(server_port, authorization: "me@home:p:ss w") do |proxy|
      expect_to_work(**plain, http_proxy: proxy.url("me%40home:p%3Ass%20w"))
    end
    over_tls do |port, settings|
      HttpProxyServer.run(port, authorization: "me:pass") do |proxy|
        expect_to_work(**settings, http_proxy: proxy.url("me:pass"))
      end
    end
  end

  %w[HTTP_PROXY http_proxy].each do |name|
    it "uses #{name} of the environment for plain requests" do
      HttpProxyServer.run(server_port) do |proxy|
        ENV[name] = proxy.url
        expect_to_work(**plain)
        expect(proxy.asked).not_to be_empty
      end
    end
  end

  %w[HTTPS_PROXY https_proxy].each do |name|
    it "uses #{name} of the environment for TLS" do
      over_tls do |port, settings|
        HttpProxyServer.run(port, authorization: "me:pass") do |proxy|
          ENV[name] = proxy.url("me:pass")
          expect_to_work(**settings)
          expect(proxy.asked.uniq).to eq(["CONNECT #{host}:#{port} HTTP/1.1"])
        end
      end
    end
  end

  it "uses each of them only for its own kind of requests" do
    HttpProxyServer.run(server_port) do |proxy|
      ENV["HTTPS_PROXY"] = proxy.url
      expect { new_client(**plain).exist?("a") }.to raise_error(EncryptedS3Service::TransportError, /resolved/)
      ENV["HTTP_PROXY"] = proxy.url
      ENV["REQUEST_METHOD"] = "GET"
      # As a CGI program it could be the client's header.
      expect { new_client(**plain).exist?("a") }.to raise_error(EncryptedS3Service::TransportError, /resolved/)
    end
  end

  rules = ["s3.proxied.test", "proxied.test", ".proxied.test", "*.proxied.test", "other.example, proxied.test", "*"]
  rules.each do |rule|
    %w[NO_PROXY no_proxy].each do |name|
      it "bypasses the proxies of the environment if #{name} is #{rule}" do
        HttpProxyServer.run(server_port) do |proxy|
          ENV.update("HTTP_PROXY" => proxy.url, name => rule)
          expect { new_client(**plain).exist?("a") }.to raise_error(EncryptedS3Service::TransportError, /resolved/)
          expect(proxy.asked).to be_empty
        end
      end
    end
  end

  it "uses the proxy for hosts that NO_PROXY does not name" do
    HttpProxyServer.run(server_port) do |proxy|
      ENV.update("HTTP_PROXY" => proxy.url, "NO_PROXY" => "xied.test,s3.proxied.tes,10.0.0.0/8")
      expect(new_client(**plain).exist?("a")).to be(false)
    end
  end

  it "reaches this machine directly in every environment, like Ruby" do
    ENV.update("HTTP_PROXY" => "http://127.0.0.1:1", "HTTPS_PROXY" => "http://127.0.0.1:1")
    expect(new_client.exist?(unique_key)).to be(false)
  end

  it "prefers http_proxy to the environment" do
    HttpProxyServer.run(server_port) do |proxy|
      ENV.update("HTTP_PROXY" => "http://127.0.0.1:1", "NO_PROXY" => "*")
      expect(new_client(**plain, http_proxy: proxy.url).exist?("a")).to be(false)
    end
  end

  describe "reports" do
    def refusal(**settings)
      new_client(**settings).exist?("a")
    rescue EncryptedS3Service::Error => e
      expect([e.message, e.cause&.message, e.full_message].join).not_to include("s3cret")
      e
    end

    it "a proxy that requires another password" do
      over_tls do |port, settings|
        HttpProxyServer.run(port, authorization: "me:pass") do |proxy|
          error = refusal(**settings, http_proxy: proxy.url("me:s3cret"))
          expect(error.message).to match(/the proxy requires a user name and a password.*`http_proxy`/)
          expect(error.cause.reason).to eq("proxy")
        end
      end
      HttpProxyServer.run(server_port, authorization: "me:pass") do |proxy|
        error = refusal(**plain, http_proxy: proxy.url("me:s3cret"))
        expect([error.message, error.status]).to match([/407.*proxy.*`http_proxy`/, 407])
      end
    end

    it "a proxy that cannot be reached" do
      over_tls do |_port, settings|
        error = refusal(**settings, http_proxy: "http://me:s3cret@127.0.0.1:1")
        expect(error.message).to match(/connection refused.* proxies/)
      end
    end

    it "an invalid proxy URL" do
      ["socks5://h:1", "proxy", "http://me:s3cret@h/path", "http://"].each do |url|
        error = refusal(**plain, http_proxy: url)
        expect(error).to be_a(EncryptedS3Service::ConfigurationError)
        expect(error.message).to start_with("http_proxy must be the URL of an HTTP proxy")
      end
      ENV["HTTP_PROXY"] = "socks5://me:s3cret@h:1"
      expect(refusal(**plain).message).to start_with("HTTP_PROXY must be the URL of an HTTP proxy")
    end
  end

  it "does not show the URL of the proxy in inspect" do
    client = new_client(http_proxy: "http://me:s3cret@proxy.example:3128")
    expect([client, client.configuration].map(&:inspect).join).not_to include("s3cret")
  end
end
