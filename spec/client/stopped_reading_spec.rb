# frozen_string_literal: true

require "timeout"
require_relative "../support/faults/leaks"
require_relative "../support/tls_proxy"

# A store that stops reading and keeps its side of the connection open. The HTTP library closes a connection only after
# it has written the rest of its request, which this store never takes.
RSpec.describe EncryptedS3Service::Client, "before a store that stops reading in the middle of an upload",
               if: File.exist?("/proc/net/tcp") do
  let(:mebibyte) { TestStore::MEBIBYTE }
  let(:refusal) { "<Error><Code>AccessDenied</Code></Error>" }

  # A store that reads the head of a request and nothing more. The system takes little for it.
  # @param answer [String, nil] sent after the head
  # @yieldparam port [Integer]
  def with_deaf_store(answer = nil)
    listener = TCPServer.new("127.0.0.1", 0)
    listener.setsockopt(:SOCKET, :RCVBUF, 4096)
    sockets = Queue.new
    acceptor = Thread.new { loop { sockets.push(listener.accept.tap { |socket| take_head(socket, answer) }) } }
    yield listener.addr[1]
  ensure
    acceptor&.kill&.join
    listener&.close
    sockets.pop.close until sockets.empty?
  end

  def take_head(socket, answer)
    head = +""
    head << socket.readpartial(1) until head.end_with?("\r\n\r\n")
    socket.write(answer) if answer
  rescue EOFError
    nil
  end

  # @return [Array<String>] the connections that are left after the upload has failed
  def left_by_upload(port, error, endpoint: "http://127.0.0.1:#{port}", size: 8 * mebibyte, time: 60, **settings)
    client = described_class.new(**TestStore.settings_for(endpoint, retry_limit: 0, **settings))
    left = Faults::Leaks.new(port..port, except: 0)
    data = StringIO.new(random_bytes(size))
    expect { Timeout.timeout(time) { client.upload(unique_key, data) } }.to raise_error(error)
    left.found(:connections, patience: 3).fetch(:connections, [])
  end

  # Parts are sent only after an answer, so a store that answers nothing gets one request.
  let(:one_request) { { upload: { multipart_threshold: 64 * mebibyte } } }

  it "closes the connection when the upload is interrupted" do
    with_deaf_store do |port|
      expect(left_by_upload(port, Timeout::Error, time: 0.5, **one_request)).to be_empty
    end
  end

  # The system takes all of the body, all but its end, or a part.
  it "closes the connection of a body of any size" do
    with_deaf_store do |port|
      sizes = [60_000, 70_000, 500_000, 3_000_000, 5_000_000]
      left = sizes.to_h { |size| [size, left_by_upload(port, Timeout::Error, size:, time: 0.3, **one_request)] }
      expect(left.values).to all(be_empty)
    end
  end

  it "closes the connection over TLS" do
    with_deaf_store do |port|
      TlsProxy.run(URI("http://127.0.0.1:#{port}")) do |proxy|
        Tempfile.create("authority") do |file|
          file.write(proxy.authority)
          file.close
          settings = { endpoint: proxy.endpoint, ssl_ca_bundle: file.path, **one_request }
          expect(left_by_upload(proxy.port, Timeout::Error, time: 1, **settings)).to be_empty
        end
      end
    end
  end

  it "closes the connection when the store has refused the upload before it stopped" do
    answer = "HTTP/1.1 403 Forbidden\r\ncontent-type: application/xml\r\ncontent-length: #{refusal.bytesize}\r\n\r\n" \
             "#{refusal}"
    with_deaf_store(answer) do |port|
      expect(left_by_upload(port, EncryptedS3Service::Error, **one_request)).to be_empty
    end
  end
end
