# frozen_string_literal: true

require "socket"

# A relay to a server. Uploads are slow, downloads are not. When one side closes, it closes the other side.
class SlowLine
  # Bytes per write, and seconds between two writes: about 6 MB/s.
  CHUNK = 65_536
  PAUSE = 0.01
  private_constant :CHUNK, :PAUSE

  # @param port [Integer] of the server
  # @yieldparam line [SlowLine] cut after the block
  def self.run(port)
    line = new(port)
    yield line
  ensure
    line&.cut
  end

  def initialize(port)
    @port = port
    @listener = TCPServer.new("127.0.0.1", 0)
    @lock = Mutex.new
    @sent = {}
    @acceptor = Thread.new { accept }
  end

  def url = "http://127.0.0.1:#{@listener.addr[1]}"

  # @return [Integer] bytes sent to the server on the connection with the most
  def most_sent = @lock.synchronize { @sent.each_value.map(&:first).max.to_i }

  # @return [Boolean] whether the connection with the most sent bytes has ended
  def hung_up? = @lock.synchronize { @sent.each_value.max_by(&:first)&.last == :ended }

  def cut
    @acceptor.kill.join
    @listener.close
    @lock.synchronize { @sent.keys }.each(&:close)
  end

  private

  def accept
    loop { Thread.new(@listener.accept) { |client| connect(client) } }
  end

  def connect(client)
    server = TCPSocket.new("127.0.0.1", @port)
    note(client, 0)
    back = Thread.new { pass(server, client) }
    pass(client, server) do |bytes|
      note(client, bytes)
      sleep PAUSE
    end
    back.join
    [client, server].each(&:close)
    note(client, 0, :ended)
  end

  # Copies until one side closes, and then closes the other side.
  def pass(from, to)
    loop { to.write(from.readpartial(CHUNK).tap { |chunk| yield chunk.bytesize if block_given? }) }
  rescue IOError, SystemCallError
    [from, to].each { |socket| hang_up(socket) }
  end

  # Closing a socket would not wake the thread that reads from it.
  def hang_up(socket)
    socket.shutdown
  rescue IOError, SystemCallError
    # The other side has already closed the connection.
  end

  def note(client, bytes, state = :open)
    @lock.synchronize { @sent[client] = [@sent.fetch(client, [0]).first + bytes, state] }
  end
end
