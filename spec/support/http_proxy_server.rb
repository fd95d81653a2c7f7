# frozen_string_literal: true

require "socket"
require "uri"

# An HTTP proxy: CONNECT for TLS, absolute URLs for plain HTTP. It connects to one server on this machine for every
# host, so that specs can use hosts that do not exist.
class HttpProxyServer
  # @param port [Integer] of the server
  # @param authorization [String, nil] `user:password` that clients must give
  # @yieldparam proxy [HttpProxyServer] stopped after the block
  def self.run(port, authorization: nil)
    proxy = new(port, authorization)
    yield proxy
  ensure
    proxy&.stop
  end

  # @return [Array<String>] the request lines that arrived
  attr_reader :asked

  def initialize(port, authorization)
    @port = port
    @authorization = authorization && "Basic #{[authorization].pack("m0")}"
    @asked = []
    @listener = TCPServer.new("127.0.0.1", 0)
    @acceptor = Thread.new { loop { Thread.new(@listener.accept) { |client| serve(client) } } }
  end

  # @param userinfo [String, nil] `user:password`, encoded as in a URL
  def url(userinfo = nil) = "http://#{"#{userinfo}@" if userinfo}127.0.0.1:#{@listener.addr[1]}"

  def stop
    @acceptor.kill.join
    @listener.close
  end

  private

  def serve(client)
    line, headers = read_head(client)
    return unless line

    @asked << line
    return refuse(client) if @authorization && headers["proxy-authorization"] != @authorization

    line.start_with?("CONNECT ") ? tunnel(client) : forward(client, line, headers)
  rescue IOError, SystemCallError
    nil
  ensure
    client.close
  end

  def read_head(client)
    line = client.gets("\r\n", chomp: true)
    headers = {}
    until (header = client.gets("\r\n", chomp: true)).to_s.empty?
      name, value = header.split(":", 2)
      headers[name.downcase] = value.strip
    end
    [line, headers]
  end

  def refuse(client)
    client.write("HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
  end

  def tunnel(client)
    TCPSocket.open("127.0.0.1", @port) do |server|
      client.write("HTTP/1.1 200 Connected\r\n\r\n")
      pump(client, server)
    end
  end

  # Forwards one request for each connection, which is enough here.
  def forward(client, line, headers)
    verb, address, version = line.split
    TCPSocket.open("127.0.0.1", @port) do |server|
      head = headers.except("proxy-authorization", "connection").map { |name, value| "#{name}: #{value}\r\n" }
      server.write("#{verb} #{URI(address).request_uri} #{version}\r\n", *head, "connection: close\r\n\r\n")
      server.write(client.read(headers["content-length"].to_i))
      IO.copy_stream(server, client)
    end
  end

  def pump(client, server)
    back = Thread.new { copy(server, client) }
    copy(client, server)
    back.join
  end

  def copy(from, to)
    loop { to.write(from.readpartial(65_536)) }
  rescue IOError, SystemCallError
    to.shutdown rescue nil # rubocop:disable Style/RescueModifier
  end
end

# Removes proxies from the environment of each example.
RSpec.shared_context "without proxies in the environment" do
  names = %w[HTTP_PROXY http_proxy HTTPS_PROXY https_proxy NO_PROXY no_proxy REQUEST_METHOD]

  around do |example|
    before = names.to_h { |name| [name, ENV.delete(name)] }
    example.run
  ensure
    ENV.update(before)
  end
end
