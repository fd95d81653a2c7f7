# frozen_string_literal: true

require "socket"

# A small HTTP server whose answers a block gives; for the addresses at which a cloud hands out credentials.
class HttpAnswers
  # @param answer [#call] gets the request's first line, returns a body or nil for 404
  # @yieldparam url [String]
  def self.run(answer)
    listener = TCPServer.new("127.0.0.1", 0)
    thread = Thread.new { loop { Thread.new(listener.accept) { |socket| serve(socket, answer) } } }
    yield "http://127.0.0.1:#{listener.addr[1]}"
  ensure
    thread&.kill&.join
    listener&.close
  end

  def self.serve(socket, answer)
    while (line = socket.gets)
      length = 0
      until (header = socket.gets).nil? || header == "\r\n"
        length = header[/\d+/].to_i if header.downcase.start_with?("content-length:")
      end
      socket.read(length)
      body = answer.call(line.chomp)
      status = body ? "200 OK" : "404 Not Found"
      socket.write("HTTP/1.1 #{status}\r\nx-aws-ec2-metadata-token-ttl-seconds: 600\r\n" \
                   "content-length: #{body.to_s.bytesize}\r\n\r\n#{body}")
    end
  rescue SystemCallError
    nil
  end
  private_class_method :serve
end
