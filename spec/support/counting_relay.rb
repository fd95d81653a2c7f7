# frozen_string_literal: true

require "socket"
require "uri"

# Passes connections on to the real S3 server and counts the bytes that come back.
class CountingRelay
  # @return [Integer] bytes that came from the server so far
  attr_reader :bytes

  # @param endpoint [String] of the real server
  def initialize(endpoint)
    @server = URI(endpoint)
    @listener = TCPServer.new("127.0.0.1", 0)
    @bytes = 0
    @lock = Mutex.new
    @acceptor = Thread.new { loop { accept(@listener.accept) } }
  end

  def endpoint = "http://127.0.0.1:#{@listener.addr[1]}"

  # @yield
  # @return [Integer] bytes that came from the server meanwhile
  def moved
    before = bytes
    yield
    bytes - before
  end

  def close
    @acceptor.kill
    @listener.close
  end

  private

  def accept(client)
    server = TCPSocket.new(@server.host, @server.port)
    Thread.new { pass(client, server) }
    Thread.new { pass(server, client) { |bytes| @lock.synchronize { @bytes += bytes } } }
  end

  def pass(from, to)
    loop do
      piece = from.readpartial(65_536)
      yield piece.bytesize if block_given?
      to.write(piece)
    end
  rescue IOError, SystemCallError
    to.close unless to.closed?
  end
end
