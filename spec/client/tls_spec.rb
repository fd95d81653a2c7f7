# frozen_string_literal: true

require_relative "../support/tls_proxy"

# A store with a certificate of the company's own authority.
RSpec.describe EncryptedS3Service::Client, "over TLS" do
  def with_bundle(pem)
    Tempfile.create("ca") do |file|
      file.binmode.write(pem)
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

  it "trusts no other authority with it, and not that authority without it" do
    other = TlsProxy.run(URI(server.endpoint), &:authority)
    with_bundle(other) do |path|
      [{ ssl_ca_bundle: path }, {}].each do |trust|
        client = new_client(endpoint: @proxy.endpoint, retry_limit: 0, **trust)
        expect { client.download("a") }.to raise_error(EncryptedS3Service::TransportError)
      end
    end
  end

  def other_authority = @other_authority ||= TlsProxy.run(URI(server.endpoint), &:authority)

  def expect_to_work(**trust)
    client = new_client(endpoint: @proxy.endpoint, **trust)
    client.upload(key = unique_key, StringIO.new("x"))
    expect(client.download(key)).to eq("x")
  end

  it "trusts each authority of a bundle of several, with any text between the certificates" do
    with_bundle("# ours\n#{other_authority}\n  \n# theirs\n#{@proxy.authority}") { expect_to_work(ssl_ca_bundle: _1) }
  end

  it "trusts the authorities of ssl_ca_directory, under any name, in addition to those of ssl_ca_bundle" do
    Dir.mktmpdir do |folder|
      File.write(File.join(folder, "README"), "no certificate")
      File.write(File.join(folder, "ours.crt"), @proxy.authority)
      File.symlink("ours.crt", File.join(folder, "0a1b2c3d.0"))
      expect_to_work(ssl_ca_directory: folder)
      with_bundle(other_authority) { expect_to_work(ssl_ca_directory: folder, ssl_ca_bundle: _1) }
    end
  end

  it "trusts AWS_CA_BUNDLE if no setting names authorities, like Amazon's tools" do
    with_bundle(@proxy.authority) do |path|
      ENV["AWS_CA_BUNDLE"] = path
      expect_to_work
    ensure
      ENV.delete("AWS_CA_BUNDLE")
    end
  end

  describe "names the setting and the file when it refuses" do
    def der = OpenSSL::X509::Certificate.new(@proxy.authority).to_der

    # A certificate with valid PEM around broken DER.
    def broken = "-----BEGIN CERTIFICATE-----\n#{[der[0..-20]].pack("m")}-----END CERTIFICATE-----\n"

    bundles = {
      "an empty file" => [->(_) { "\n" }, "is empty"],
      "a file of anything" => [->(_) { "no certificate" }, "contains no certificate in PEM"],
      "a certificate in DER" => [lambda(&:der), "is a certificate in DER; convert it to PEM"],
      "a private key" => [->(_) { OpenSSL::PKey::EC.generate("prime256v1").to_pem },
                          "contains a private key but no certificate"],
      "a broken certificate" => [lambda(&:broken), "certificate number 1 of the file is broken"],
      "a broken one after a good one" => [->(spec) { spec.other_authority + spec.broken },
                                          "certificate number 2 of the file is broken"],
      "invalid base64" => [->(_) { "-----BEGIN CERTIFICATE-----\n@@@@\n-----END CERTIFICATE-----\n" },
                           "certificate number 1 of the file is broken"]
    }
    bundles.each do |what, (content, message)|
      it "#{what}, in a bundle" do
        with_bundle(content.call(self)) do |path|
          client = new_client(endpoint: @proxy.endpoint, ssl_ca_bundle: path)
          # Twice: the first failure must not leave a half-initialised state.
          2.times do
            expected = "ssl_ca_bundle: #{path}: #{message}"
            expect { client.download("a") }
              .to raise_error(EncryptedS3Service::ConfigurationError, /\A#{Regexp.escape(expected)}/)
          end
        end
      end
    end

    it "missing files and folders" do
      { ssl_ca_bundle: "/nonexistent/ca.pem", ssl_ca_directory: "/nonexistent" }.each do |setting, path|
        client = new_client(endpoint: @proxy.endpoint, setting => path)
        expect { client.download("a") }
          .to raise_error(EncryptedS3Service::ConfigurationError, /\A#{setting}: #{path}: cannot be read/)
      end
    end

    it "a folder without certificates, and one with a broken one" do
      Dir.mktmpdir do |folder|
        client = new_client(endpoint: @proxy.endpoint, ssl_ca_directory: folder)
        expect { client.download("a") }
          .to raise_error(EncryptedS3Service::ConfigurationError, /ssl_ca_directory: .* has no file with a certificate/)
        File.write(File.join(folder, "bad.pem"), broken)
        client = new_client(endpoint: @proxy.endpoint, ssl_ca_directory: folder, region: "us-east-2")
        expect { client.download("a") }
          .to raise_error(EncryptedS3Service::ConfigurationError, /ssl_ca_directory: .*bad\.pem: certificate number 1/)
      end
    end

    it "a system without certificates" do
      Tempfile.create("none") do |none|
        ENV.update("SSL_CERT_FILE" => none.path, "SSL_CERT_DIR" => "/nonexistent")
        client = new_client(endpoint: @proxy.endpoint)
        expect { client.download("a") }.to raise_error(EncryptedS3Service::ConfigurationError, /no CA certificates/)
        # Plain HTTP needs none.
        expect(new_client.exist?(unique_key)).to be(false)
      ensure
        %w[SSL_CERT_FILE SSL_CERT_DIR].each { |name| ENV.delete(name) }
      end
    end
  end
end
