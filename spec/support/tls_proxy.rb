# frozen_string_literal: true

require "openssl"
require "socket"

# Puts TLS, with a certificate of an authority of its own, before a plain HTTP server.
class TlsProxy
  # @param backend [URI] of the plain server
  # @yieldparam proxy [TlsProxy] stopped after the block
  def self.run(backend)
    proxy = new(backend)
    yield proxy
  ensure
    proxy&.stop
  end

  # @return [String] the authority's certificate as PEM
  attr_reader :authority

  def initialize(backend)
    @backend = backend
    @listener = TCPServer.new("127.0.0.1", 0)
    @tls = OpenSSL::SSL::SSLServer.new(@listener, context)
    @acceptor = Thread.new { accept }
  end

  def endpoint = "https://127.0.0.1:#{@listener.addr[1]}"

  def stop
    @acceptor.kill.join
    @listener.close
  end

  private

  def context
    key = OpenSSL::PKey::EC.generate("prime256v1")
    authority_key = OpenSSL::PKey::EC.generate("prime256v1")
    authority = certificate("/CN=Spec Authority", authority_key, ["basicConstraints", "CA:TRUE", true])
    authority.sign(authority_key, "SHA256")
    @authority = authority.to_pem
    server = certificate("/CN=127.0.0.1", key, ["subjectAltName", "IP:127.0.0.1", false])
    server.issuer = authority.subject
    server.sign(authority_key, "SHA256")
    OpenSSL::SSL::SSLContext.new.tap { |tls| tls.add_certificate(server, key) }
  end

  def certificate(name, key, extension)
    OpenSSL::X509::Certificate.new.tap do |certificate|
      certificate.version = 2
      certificate.serial = rand(1..(1 << 64))
      certificate.subject = certificate.issuer = OpenSSL::X509::Name.parse(name)
      certificate.public_key = key
      certificate.not_before = Time.now - 60
      certificate.not_after = Time.now + 3600
      certificate.add_extension(OpenSSL::X509::ExtensionFactory.new.create_extension(*extension))
    end
  end

  def accept
    loop do
      client = @tls.accept
      Thread.new(client) { connect(_1) }
    rescue OpenSSL::SSL::SSLError, SystemCallError
      # A client that does not trust us hangs up.
      next
    end
  end

  def connect(client)
    server = TCPSocket.new(@backend.host, @backend.port)
    [[client, server], [server, client]].map { |from, to| Thread.new { copy(from, to) } }.each(&:join)
  end

  def copy(from, to)
    loop { to.write(from.readpartial(65_536)) }
  rescue IOError, SystemCallError, OpenSSL::SSL::SSLError
    [from, to].each(&:close)
  end
end
