# frozen_string_literal: true

require "openssl"
require "socket"
require "uri"

# A proxy in front of the real S3 server. It records every request, and makes some of them fail as a network or a store
# fails. Requests are forwarded unchanged, with the Host that was signed.
#
#   FaultProxy.run(server.endpoint) do |proxy|
#     proxy.fault("UploadPart", part: 2, times: 1, status: 503)
#     …
#     proxy.requests("UploadPart").map(&:sha256)
#   end
class FaultProxy
  # A received request. `operation` is S3's or KMS's name for it, `target` the path and query as sent.
  Request = Struct.new(:verb, :target, :headers, :body, :sha256, :bytesize) do
    def operation
      # All operations of KMS have the same path.
      return headers["x-amz-target"].split(".").last if headers.key?("x-amz-target")

      case [verb, target]
      in ["POST", /[?&]uploads\b/] then "CreateMultipartUpload"
      in ["PUT", /[?&]partNumber=/] then "UploadPart"
      in ["POST", /[?&]uploadId=/] then "CompleteMultipartUpload"
      in ["DELETE", /[?&]uploadId=/] then "AbortMultipartUpload"
      else "#{verb.capitalize}Object"
      end
    end

    def part = target[/[?&]partNumber=(\d+)/, 1]&.to_i

    # @return [Array(Integer, Integer), nil] first and last requested byte
    def range = headers["range"]&.match(/\Abytes=(\d+)-(\d+)\z/)&.captures&.map(&:to_i)
  end

  # A fault, and the requests to which it applies.
  Rule = Struct.new(:operation, :part, :only, :skip, :times, :action) do
    def applies?(request)
      return false unless request.operation == operation && (part.nil? || request.part == part)
      return false unless only.nil? || only.call(request)
      return false if (self.skip -= 1) >= 0

      (self.times -= 1) >= 0
    end
  end

  # Holds requests at the proxy until it is opened.
  class Gate
    def initialize
      @arrivals = Queue.new
      @permits = Queue.new
    end

    # Waits until a request is held.
    def arrived = @arrivals.pop(timeout: 30) || raise("nothing came to the gate")

    # Lets all held requests, and all later ones, continue.
    def open = @permits.close

    def pass
      @arrivals.push(true)
      @permits.pop
    end
  end

  # @param endpoint [String] of the real server
  # @param arguments [Array] of the subclass
  # @yieldparam proxy [FaultProxy] stopped after the block
  def self.run(endpoint, *arguments)
    proxy = new(URI(endpoint), *arguments)
    yield proxy
  ensure
    proxy&.stop
  end

  def initialize(backend)
    @backend = backend
    @lock = Mutex.new
    @rules = []
    @requests = []
    @accepted = 0
    @connections = ThreadGroup.new
    @listener = TCPServer.new("127.0.0.1", 0)
    @acceptor = Thread.new { loop { accept } }
  end

  def endpoint = "http://127.0.0.1:#{@listener.addr[1]}#{@backend.path}"

  # @param operation [String] S3's name
  # @param part [Integer, nil] the number of the part; nil for any
  # @param only [#call, nil] called with the request; whether the fault applies to it
  # @param skip [Integer] the number of matching requests that pass first
  # @param times [Numeric] the number of matching requests that fail then
  # @param action [Hash] `status:` answers with this status instead of forwarding, with `answer:` as the body; `drop:
  #   :before` closes the connection without forwarding, `drop: :after` without answering; `cut:` closes it after this
  #   number of bytes of the answer's body
  # @yield instead of a failure, before the request is forwarded
  def fault(operation, part: nil, only: nil, skip: 0, times: Float::INFINITY, **action, &block)
    action[:call] = block if block
    @lock.synchronize { @rules.push(Rule.new(operation, part, only, skip, times, action)) }
  end

  # Holds back requests, selected as in {#fault}.
  # @return [Gate]
  def hold(operation, **) = Gate.new.tap { |gate| fault(operation, **) { gate.pass } }

  # @return [Array<Request>] all requests or those of one operation, in the order of their arrival
  def requests(operation = nil)
    all = @lock.synchronize { @requests.dup }
    operation ? all.select { |request| request.operation == operation } : all
  end

  # @return [Integer] connections that clients have made so far
  attr_reader :accepted

  # @return [Integer] connections that are open now
  def open_connections = @connections.list.size

  def stop
    @acceptor.kill.join
    @listener.close
    @connections.list.each { |thread| thread.kill.join }
  end

  private

  def accept(socket = @listener.accept)
    @accepted += 1
    connection = Thread.new do
      serve(socket)
    rescue IOError, SystemCallError
      nil
    ensure
      socket.close
    end
    @connections.add(connection)
  end

  # @return when the connection must be closed
  def serve(socket)
    while (request = read_request(socket))
      action = record(request)
      action[:call]&.call
      return if action[:drop] == :before

      head, body = action[:status] ? answer(action) : forward(request)
      return if action[:drop] == :after

      socket.write(head, body.byteslice(0, action.fetch(:cut, body.bytesize)))
      return if action[:cut] || head.start_with?("HTTP/1.0")
    end
  end

  def record(request)
    @lock.synchronize do
      @requests.push(request)
      @rules.find { |rule| rule.applies?(request) }&.action || {}
    end
  end

  def read_request(socket)
    request = read_head(socket)
    return unless request && read_body(socket, request)

    request.sha256 = OpenSSL::Digest.hexdigest("SHA256", request.body)
    request.bytesize = request.body.bytesize
    request
  end

  # @return [Request, nil] without its body
  def read_head(socket)
    verb, target = socket.gets("\r\n")&.split
    return unless target

    headers = {}
    until (line = socket.gets("\r\n", chomp: true)).to_s.empty?
      name, value = line.split(":", 2)
      headers[name.downcase] = value.strip
    end
    Request.new(verb, target, headers, nil, nil, 0)
  end

  # @return [Boolean] false if the client closed the connection before the end
  def read_body(socket, request)
    socket.write("HTTP/1.1 100 Continue\r\n\r\n") if request.headers["expect"]
    length = request.headers["content-length"].to_i
    request.body = socket.read(length)
    request.body.bytesize == length
  end

  def answer(action)
    body = action.fetch(:answer, "<Error><Code>InternalError</Code></Error>")
    ["HTTP/1.1 #{action[:status]} Faulty\r\ncontent-type: application/xml\r\n" \
     "content-length: #{body.bytesize}\r\n\r\n", body]
  end

  # @return [Array(String, String)] head and body of the server's answer, unchanged
  def forward(request)
    server = TCPSocket.new(@backend.host, @backend.port)
    headers = request.headers.except("expect", "connection").map { |name, value| "#{name}: #{value}\r\n" }
    server.write("#{request.verb} #{request.target} HTTP/1.1\r\n", *headers, "connection: close\r\n\r\n", request.body)
    head, body = server.read.split("\r\n\r\n", 2)
    # The connection to the client stays open, unlike the one to the server.
    ["#{head.gsub(/\r\nconnection:[^\r]*/i, "")}\r\n\r\n", body]
  ensure
    server&.close
  end
end
