# frozen_string_literal: true

require "socket"

# An HTTP server that answers a request later on demand, or never.
class StallingServer
  NO_SUCH_KEY = "<Error><Code>NoSuchKey</Code></Error>"
  NOT_FOUND = "HTTP/1.1 404 Not Found\r\ncontent-type: application/xml\r\n" \
              "content-length: #{NO_SUCH_KEY.bytesize}\r\n\r\n#{NO_SUCH_KEY}".freeze

  # @yieldparam server [StallingServer] stopped after the block
  def self.run
    server = new
    yield server
  ensure
    server&.stop
  end

  def initialize
    @listener = TCPServer.new("127.0.0.1", 0)
    @arrivals = Queue.new
    @answers = Queue.new
    @sockets = Queue.new
    @acceptor = Thread.new { accept }
  end

  def endpoint = "http://127.0.0.1:#{@listener.addr[1]}"

  # Waits for the head of a request.
  # @return [String] the first line of the request
  def arrived = @arrivals.pop

  # @return [Integer] requests that {#arrived} has not returned yet
  def further_arrivals = @arrivals.size

  # Answers the oldest open request.
  # @param answer [String] the whole response; if it is shorter than its Content-Length, the connection stays open
  def answer(answer = NOT_FOUND) = @answers.push(answer)

  def stop
    @acceptor.kill.join
    @listener.close
    @answers.close
    @sockets.pop.close until @sockets.empty?
  end

  private

  def accept
    loop do
      socket = @listener.accept
      @sockets.push(socket)
      Thread.new(socket) { serve(_1) }
    end
  end

  def serve(socket)
    while (first_line = socket.gets)
      length = 0
      until (line = socket.gets).nil? || line == "\r\n"
        length = line.split(":", 2).last.to_i if line.downcase.start_with?("content-length:")
      end
      @arrivals.push(first_line.chomp)
      socket.read(length)
      answer = @answers.pop or return
      socket.write(answer)
    end
  rescue IOError, SystemCallError
    nil
  end
end
