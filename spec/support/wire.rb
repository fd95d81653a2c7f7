# frozen_string_literal: true

require "socket"
require "timeout"

# Requests of a client that violates the HTTP standard. Net::HTTP would correct them.
module Wire
  # The answer: the status, the headers by their names in lower case, and the received part of the body.
  Answer = Struct.new(:status, :headers, :body)

  module_function

  # @param socket [TCPSocket] closed afterwards
  # @param request [String] bytes to send
  # @param patience [Numeric] time limit in seconds
  # @return [Answer]
  # @raise [Timeout::Error] if no answer arrives
  def ask(socket, request, patience: 20)
    socket.write(request)
    Timeout.timeout(patience) { read(socket) }
  ensure
    socket.close
  end

  # @return [String] a request without a body
  def request(verb, path, *headers)
    ["#{verb} #{path} HTTP/1.1", "Host: localhost", "Connection: close", *headers, "", ""].join("\r\n")
  end

  def read(socket)
    head = (+"").b
    body = (+"").b
    head << socket.readpartial(1) until head.end_with?("\r\n\r\n")
    body << socket.readpartial(1 << 16) while body.bytesize < (1 << 20)
    parse(head, body)
  rescue EOFError, Errno::ECONNRESET
    parse(head, body)
  end

  def parse(head, body)
    line, *headers = head.split("\r\n")
    named = headers.to_h do |header|
      name, value = header.split(":", 2)
      [name.downcase, value.to_s.strip]
    end
    Answer.new(line.to_s[%r{\AHTTP/1\.[01] (\d+)}, 1].to_i, named, body)
  end
end
