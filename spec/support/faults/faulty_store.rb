# frozen_string_literal: true

require_relative "../fault_proxy"
require_relative "call"

module Faults
  # A proxy of the real S3 server at which one {Fault} happens to one {Call}, once or every time.
  class FaultyStore < FaultProxy
    # Outside of the range for outgoing connections, so that the port is still free when the proxy listens again.
    PORTS = (20_000..32_000)
    # Seconds for which connections are refused if that happens once.
    AWAY = 0.05
    ERRORS = {
      "500" => [500, "InternalError"], "503 SlowDown" => [503, "SlowDown"], "403" => [403, "AccessDenied"],
      "expired credentials" => [400, "ExpiredToken"], "200 with an error" => [200, "InternalError"]
    }.freeze
    private_constant :AWAY, :ERRORS

    # @return [Array<Call>] in the order of their arrival
    attr_reader :calls

    # @return [Integer] how often the fault happened
    attr_reader :happened

    # @param endpoint [String] of the real server
    # @yieldparam store [FaultyStore] stopped after the block
    def self.run(endpoint)
      store = new(URI(endpoint))
      yield store
    ensure
      store&.stop
    end

    def initialize(backend)
      super
      @acceptor.kill.join
      @listener.close
      @calls = []
      @happened = 0
      listen
    end

    # The fault happens from now on.
    # @param fault [Fault, nil]
    # @param call [Call] recorded in a run without a fault
    # @param always [Boolean] whether the fault happens to all later calls like this one too
    def arm(fault, call, always:)
      @lock.synchronize do
        @calls.clear
        @happened = 0
        @fault = fault
        @target = call
        @always = always
      end
    end

    def endpoint = "http://127.0.0.1:#{@port}"

    def stop
      # First, because this thread may be about to listen again.
      @away&.kill&.join
      stop_listening
      @connections.list.each { |thread| thread.kill.join }
    end

    private

    def listen
      @listener = @port ? TCPServer.new("127.0.0.1", @port) : free_port
      @port = @listener.addr[1]
      over, @over = IO.pipe
      # A thread inherits the group of its creator, which may be a connection that listens again.
      @acceptor = Thread.new { accept_until(over) }.tap { |thread| ThreadGroup::Default.add(thread) }
    end

    # @param over [IO] readable when no more connections may be accepted
    def accept_until(over)
      until IO.select([@listener, over]).first.include?(over)
        socket = @listener.accept_nonblock(exception: false)
        accept(socket) unless socket == :wait_readable
      end
    ensure
      over.close
    end

    # The thread is not killed: if it were killed in `accept`, the accepted connection would stay open and nobody would
    # read from it.
    def stop_listening
      @over.close unless @over.closed?
      @acceptor.join
      @listener.close unless @listener.closed?
    end

    def free_port
      TCPServer.new("127.0.0.1", rand(PORTS))
    rescue Errno::EADDRINUSE
      retry
    end

    def serve(socket)
      while (request = read_head(socket))
        call, fault = note(request)
        break unless fault ? let_fail(fault, call, request, socket) : pass(call, request, socket)
      end
    end

    def pass(call, request, socket) = read_body(socket, request) && answer_with(socket, call, *forward(request))

    # @return [Array(Call, String)] the call, and the name of its fault or nil
    def note(request)
      @lock.synchronize do
        call = Call.of(request, 1)
        call.ordinal += @calls.count { |other| other.like?(call) }
        @calls.push(call)
        call.sent = request.headers["content-length"].to_i
        next [call, nil] unless @fault && @target.like?(call) && hit?(call)

        @happened += 1
        [call, @fault.name]
      end
    end

    def hit?(call) = @always ? call.ordinal >= @target.ordinal : call.ordinal == @target.ordinal

    # @return [Boolean] whether the connection continues
    def let_fail(fault, call, request, socket)
      case fault
      when "connection refused" then refuse(socket)
      when "reset before the request" then reset(socket)
      when "reset in the request" then reset(socket, request.headers["content-length"].to_i / 2)
      else
        read_body(socket, request) && fail_later(fault, call, request, socket)
      end
    end

    def fail_later(fault, call, request, socket)
      case fault
      when "silence" then wait_for_end(socket)
      when "wrong bytes sent"
        answer_with(socket, call, *forward_damaged(request))
      when *ERRORS.keys then answer_with(socket, call, *error(request, *ERRORS.fetch(fault)))
      when "request twice"
        forward(request)
        answer_with(socket, call, *forward(request))
      else
        damage(fault, call, socket, *forward(request))
      end
    end

    def damage(fault, call, socket, head, body)
      half = body.byteslice(0, body.bytesize / 2)
      case fault
      when "reset after the request" then reset(socket)
      when "reset in the answer", "silence in the answer", "body too short"
        answer_with(socket, call, head, half, announced: body.bytesize)
        return reset(socket, later: true) if fault == "reset in the answer"

        fault == "body too short" ? false : wait_for_end(socket)
      when "object too short" then answer_with(socket, call, head, half)
      when "wrong bytes received" then answer_with(socket, call, head, flipped(body))
      when "wrong ETag" then answer_with(socket, call, *retagged(head, body))
      when "answer twice" then answer_twice(socket, call, head, body)
      else raise ArgumentError, "unknown fault #{fault}"
      end
    end

    # The second answer is sent when the next request is under way, which takes it for its own. Every HTTP client
    # notices an earlier one.
    def answer_twice(socket, call, head, body)
      answer_with(socket, call, head, body)
      (request = read_head(socket)) && read_body(socket, request) && answer_with(socket, call, head, body)
    end

    # @return [true]
    def answer_with(socket, call, head, body, announced: nil)
      call.received = body.bytesize
      call.tagged = head.match?(/^etag:/i) || body.include?("<ETag>")
      # The length in the answer to a HEAD is the object's.
      head = head.sub(/^content-length:.*?\r\n/i, "") unless call.name == "HeadObject"
      length = "content-length: #{announced || body.bytesize}\r\n" unless call.name == "HeadObject" || head[/ 204 /]
      socket.write(head.sub(/\r\n\r\n\z/, "\r\n#{length}\r\n"), body)
      true
    end

    def refuse(socket)
      @lock.synchronize do
        stop_listening
        unless @always
          @away = Thread.new do
            sleep AWAY
            @lock.synchronize { listen }
          end
        end
      end
      reset(socket)
    end

    # Closes the connection with a reset. With `later`, it first waits for the arrival of the sent bytes, which a reset
    # discards.
    # @param after [Integer] bytes of the request that are read first
    # @return [false]
    def reset(socket, after = 0, later: false)
      socket.read(after)
      sleep 0.05 if later
      socket.setsockopt(Socket::SOL_SOCKET, Socket::SO_LINGER, [1, 0].pack("ii"))
      socket.close
      false
    end

    # Sends nothing until the client closes the connection.
    def wait_for_end(socket)
      nil while socket.readpartial(4096)
    rescue EOFError
      false
    end

    def error(request, status, code)
      xml = %(<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>#{code}</Code><Message>a test</Message></Error>)
      ["HTTP/1.1 #{status} Faulty\r\ncontent-type: application/xml\r\n\r\n", request.verb == "HEAD" ? "" : xml]
    end

    def flipped(body)
      body.dup.tap { |damaged| damaged.setbyte(body.bytesize / 2, body.getbyte(body.bytesize / 2) ^ 1) }
    end

    def retagged(head, body)
      other = OpenSSL::Digest.hexdigest("MD5", "another object")
      [head.gsub(/^(etag:).*?\r\n/i, "\\1 \"#{other}\"\r\n"),
       body.gsub(%r{<ETag>.*?</ETag>}, "<ETag>&quot;#{other}&quot;</ETag>")]
    end

    # The store receives other bytes than were sent. SeaweedFS checks no checksum, Amazon checks those in the headers.
    def forward_damaged(request)
      return error(request, 400, "BadDigest") if request.headers.keys.grep(/\Ax-amz-checksum-|\Acontent-md5\z/).any?

      request.body = flipped(request.body)
      forward(request)
    end

    def forward(request)
      head, body = super
      return [head, body] unless head.match?(/^transfer-encoding: *chunked/i)

      [head.sub(/^transfer-encoding:.*?\r\n/i, ""), unchunked(body)]
    end

    def unchunked(body)
      whole = "".b
      until body.empty?
        line, body = body.split("\r\n", 2)
        size = line.hex
        break if size.zero?

        whole << body.byteslice(0, size)
        body = body.byteslice((size + 2)..)
      end
      whole
    end
  end
end
