# frozen_string_literal: true

require "socket"
require_relative "../support/tls_proxy"

# The cause of a failed connection reaches the person who must repair it.
RSpec.describe EncryptedS3Service::Client, "whose store cannot be reached" do
  let(:secrets) { %w[X-Amz Signature Credential secret AWS4] }

  def failure(endpoint, **settings)
    settings = TestStore.settings_for(endpoint, **settings)
    EncryptedS3Service::Client.new(**settings).download("a/key")
    raise "the download did not fail"
  rescue EncryptedS3Service::Error => e
    texts = [e.message, e.cause&.message, e.full_message].join
    expect(secrets.select { |secret| texts.include?(secret) }).to eq([])
    expect(e.message).not_to match(/check `endpoint`, `region` and the network/)
    e
  end

  def expect_transport(error, reason, message, retryable: true)
    expect(error).to be_a(EncryptedS3Service::TransportError)
    expect(error.message).to match(message)
    expect(error.cause).to be_a(EncryptedS3Service::NetworkError)
    expect([error.cause.reason, error.retryable?]).to eq([reason, retryable])
  end

  def closed_port = TCPServer.open("127.0.0.1", 0) { |server| server.addr[1] }

  it "says that nothing listens there" do
    error = failure("http://127.0.0.1:#{closed_port}")
    expect_transport(error, "refused", /GetObject of "a.key" in bucket "specs": connection refused\. .*`endpoint`/)
  end

  it "says that the host cannot be resolved" do
    error = failure("http://no-such-host.invalid")
    expect_transport(error, "dns", /host name cannot be resolved\. Check `endpoint`/)
  end

  it "says that there was no response in time" do
    StallingServer.run do |silent|
      error = failure(silent.endpoint, http_read_timeout: 0.3)
      expect_transport(error, "timeout", /no progress for .*`http_read_timeout` is the limit/)
    end
  end

  it "says that no connection was made in time" do
    TCPServer.open("127.0.0.1", 0) do |full|
      full.listen(0)
      waiting = Array.new(8) { Socket.tcp("127.0.0.1", full.addr[1], connect_timeout: 0.2) rescue nil } # rubocop:disable Style/RescueModifier
      error = failure("http://127.0.0.1:#{full.addr[1]}", http_open_timeout: 0.3)
      expect_transport(error, "timeout", /connection was not established in time.*`http_open_timeout` is the limit/)
    ensure
      waiting&.each { |socket| socket&.close }
    end
  end

  it "says that the connection was closed" do
    TCPServer.open("127.0.0.1", 0) do |rude|
      closing = Thread.new { loop { rude.accept.tap(&:gets).close } }
      expect_transport(failure("http://127.0.0.1:#{rude.addr[1]}"), "reset", /connection (was closed|reset)/)
    ensure
      closing&.kill
    end
  end

  it "says that an https endpoint does not speak TLS" do
    error = failure(server.endpoint.sub("http:", "https:"))
    expect_transport(error, "tls", /does not speak TLS on this port\. .*http:/)
  end

  describe "names the defect of its certificate:" do
    def refusal(kind, trusted: true)
      TlsProxy.run(URI(server.endpoint), kind) do |proxy|
        Tempfile.create("ca") do |file|
          file.write(trusted ? proxy.authority : TlsProxy.run(URI(server.endpoint), &:authority))
          file.close
          return failure(proxy.endpoint, ssl_ca_bundle: file.path)
        end
      end
    end

    {
      expired: /certificate is not accepted: it expired on \d{4}-\d\d-\d\d.*Renew/,
      another_name: /certificate is not accepted: it is not for "127.0.0.1" but for .*other\.example/,
      common_name_only: /certificate is not accepted: it has no subjectAltName .*CN does not count/,
      own_authority: /certificate is not accepted: it is the certificate of an authority \(CA:TRUE\).*CA:FALSE/
    }.each do |kind, message|
      it kind.to_s.tr("_", " ") do
        error = refusal(kind)
        expect_transport(error, "certificate", message, retryable: false)
        expect([error.class, error.code]).to eq([EncryptedS3Service::CertificateError, "certificate"])
      end
    end

    it "an unknown issuer" do
      error = refusal(:good, trusted: false)
      expect_transport(error, "certificate", /its issuer is not trusted\. .*`ssl_ca_bundle`/, retryable: false)
    end
  end

  it "accepts a self-signed server certificate that ssl_ca_bundle contains" do
    TlsProxy.run(URI(server.endpoint), :self_signed) do |proxy|
      Tempfile.create("ca") do |file|
        file.write(proxy.authority)
        file.close
        expect(new_client(endpoint: proxy.endpoint, ssl_ca_bundle: file.path).exist?(unique_key)).to be(false)
      end
    end
  end

  describe "passes the store's response to Ruby:" do
    it "status and code of a refusal" do
      client = new_client(secret_access_key: "wrong", retry_limit: 0)
      expect { client.upload("a", StringIO.new("x")) }.to raise_error(EncryptedS3Service::AccessError) { |e|
        expect([e.status, e.store_code, e.cause]).to eq([403, "SignatureDoesNotMatch", nil])
        expect(e.message).to match(/the store answered 403 SignatureDoesNotMatch \(request id/)
      }
    end

    it "the status alone of a refusal that has no code, as every one of a HEAD request" do
      client = new_client(secret_access_key: "wrong", retry_limit: 0)
      expect { client.exist?("a") }
        .to raise_error(EncryptedS3Service::AccessError, /the store answered 403 \(request id/)
    end

    it "those of a missing bucket and a missing object" do
      expect { new_client(bucket: "no-such-bucket").upload("a", StringIO.new("x")) }
        .to raise_error(EncryptedS3Service::ConfigurationError) { |e|
          expect([e.status, e.store_code]).to eq([404, "NoSuchBucket"])
        }
      expect { new_client.download(unique_key) }.to raise_error(EncryptedS3Service::NotFoundError) { |e|
        expect([e.status, e.store_code]).to eq([404, "NoSuchKey"])
      }
    end

    it "none if there was no response" do
      expect(failure("http://127.0.0.1:#{closed_port}")).to have_attributes(status: nil, store_code: nil)
    end
  end
end
