# frozen_string_literal: true

require_relative "../support/tls_proxy"

# A store with a certificate of the company's own authority.
RSpec.describe EncryptedS3Service::Client, "over TLS" do
  def with_bundle(pem)
    Tempfile.create("ca") do |file|
      file.write(pem)
      file.close
      yield file.path
    end
  end

  around { |example| TlsProxy.run(URI(server.endpoint)) { |proxy| (@proxy = proxy) && example.run } }

  it "trusts the authority of ssl_ca_bundle, for files of one request and of several parts" do
    with_bundle(@proxy.authority) do |path|
      client = new_client(endpoint: @proxy.endpoint, ssl_ca_bundle: path)
      [10, 20 * TestStore::MEBIBYTE].each do |size|
        client.upload(key = unique_key, StringIO.new(random_bytes(size)))
        expect(client.download(key)).to be_bytes(random_bytes(size))
        expect(stored_plaintext(key)).to be_bytes(random_bytes(size))
        client.delete(key)
      end
    end
  end

  it "trusts nobody else with it, and not that authority without it" do
    other = TlsProxy.run(URI(server.endpoint), &:authority)
    with_bundle(other) do |path|
      [{ ssl_ca_bundle: path }, {}].each do |trust|
        client = new_client(endpoint: @proxy.endpoint, retry_limit: 0, **trust)
        expect { client.download("a") }.to raise_error(EncryptedS3Service::TransportError)
      end
    end
  end

  it "names the setting when the bundle is not there or holds no certificate" do
    with_bundle("no certificate") do |path|
      [path, "/nonexistent/ca.pem"].each do |bundle|
        client = new_client(endpoint: @proxy.endpoint, ssl_ca_bundle: bundle)
        expect { client.download("a") }.to raise_error(EncryptedS3Service::ConfigurationError, /ssl_ca_bundle/)
      end
    end
  end
end
