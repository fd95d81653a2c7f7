# frozen_string_literal: true

require "openssl"
require "socket"

# A TLS proxy, with a certificate of its own authority, in front of a plain HTTP server.
class TlsProxy
  # The available certificates: subject, validity in days from now, whether it is self-signed, extensions.
  CERTIFICATES = {
    good: ["/CN=127.0.0.1", 1, false, { "subjectAltName" => "IP:127.0.0.1" }],
    expired: ["/CN=127.0.0.1", -1, false, { "subjectAltName" => "IP:127.0.0.1" }],
    another_name: ["/CN=other.example", 1, false, { "subjectAltName" => "DNS:other.example" }],
    common_name_only: ["/CN=127.0.0.1", 1, true, { "basicConstraints" => "critical,CA:FALSE" }],
    own_authority: ["/CN=127.0.0.1", 1, true,
                    { "subjectAltName" => "IP:127.0.0.1", "basicConstraints" => "critical,CA:TRUE" }],
    self_signed: ["/CN=127.0.0.1", 1, true,
                  { "subjectAltName" => "IP:127.0.0.1", "basicConstraints" => "critical,CA:FALSE" }],
    proxied: ["/CN=s3.proxied.test", 1, false, { "subjectAltName" => "DNS:s3.proxied.test" }]
  }.freeze
  private_constant :CERTIFICATES

  # @param backend [URI] of the plain server
  # @param kind [Symbol] one of {CERTIFICATES}
  # @yieldparam proxy [TlsProxy] stopped after the block
  def self.run(backend, kind = :good)
    proxy = new(backend, kind)
    yield proxy
  ensure
    proxy&.stop
  end

  # @return [String] the certificate that clients must trust, as PEM
  attr_reader :authority

  # @return [Integer]
  attr_reader :port

  def initialize(backend, kind)
    @backend = backend
    @kind = kind
    @listener = TCPServer.new("127.0.0.1", 0)
    @port = @listener.addr[1]
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
    subject, days, signs_itself, extensions = CERTIFICATES.fetch(@kind)
    key = OpenSSL::PKey::EC.generate("prime256v1")
    server = certificate(subject, key, days, extensions)
    if signs_itself
      server.sign(key, "SHA256")
      @authority = server.to_pem
    else
      sign(server)
    end
    OpenSSL::SSL::SSLContext.new.tap { |tls| tls.add_certificate(server, key) }
  end

  def sign(server)
    key = OpenSSL::PKey::EC.generate("prime256v1")
    authority = certificate("/CN=Spec Authority #{rand(1 << 32)}", key, 1, { "basicConstraints" => "critical,CA:TRUE" })
    authority.sign(key, "SHA256")
    server.issuer = authority.subject
    server.sign(key, "SHA256")
    @authority = authority.to_pem
  end

  def certificate(name, key, days, extensions)
    OpenSSL::X509::Certificate.new.tap do |certificate|
      certificate.version = 2
      certificate.serial = rand(1..(1 << 64))
      certificate.subject = certificate.issuer = OpenSSL::X509::Name.parse(name)
      certificate.public_key = key
      certificate.not_before = Time.now - (10 * 86_400)
      certificate.not_after = Time.now + (days * 86_400)
      factory = OpenSSL::X509::ExtensionFactory.new
      extensions.each { |extension, value| certificate.add_extension(factory.create_extension(extension, value)) }
    end
  end

  def accept
    loop do
      client = @tls.accept
      Thread.new(client) { connect(_1) }
    rescue OpenSSL::SSL::SSLError, SystemCallError
      # A client that does not trust the certificate closes the connection.
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
