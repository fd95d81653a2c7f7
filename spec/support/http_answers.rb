# frozen_string_literal: true

require "socket"

# A small HTTP server that replaces the addresses from which a cloud's machines get credentials.
class HttpAnswers
  # A received request.
  Request = Struct.new(:line, :headers, :body)

  # @param answer [#call] called with the request's first line; returns a body, an Array of status line and body, or nil
  #   for 404
  # @param requests [Array<Request>] each request is added before it is answered
  # @yieldparam url [String]
  def self.run(answer, requests: [])
    listener = TCPServer.new("127.0.0.1", 0)
    thread = Thread.new { loop { Thread.new(listener.accept) { |socket| serve(socket, answer, requests) } } }
    yield "http://127.0.0.1:#{listener.addr[1]}"
  ensure
    thread&.kill&.join
    listener&.close
  end

  def self.serve(socket, answer, requests)
    while (line = socket.gets)
      requests << (request = receive(socket, line.chomp))
      status, body = answer.call(request.line).then { |given| given.is_a?(Array) ? given : ["200 OK", given] }
      status = "404 Not Found" unless body
      socket.write("HTTP/1.1 #{status}\r\nx-aws-ec2-metadata-token-ttl-seconds: 600\r\n" \
                   "content-length: #{body.to_s.bytesize}\r\n\r\n#{body}")
    end
  rescue SystemCallError
    nil
  end
  private_class_method :serve

  def self.receive(socket, line)
    headers = {}
    while (header = socket.gets&.chomp) && !header.empty?
      name, value = header.split(":", 2)
      headers[name.downcase] = value.to_s.strip
    end
    Request.new(line, headers, socket.read(headers["content-length"].to_i))
  end
  private_class_method :receive
end
