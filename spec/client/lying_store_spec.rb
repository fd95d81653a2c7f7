# frozen_string_literal: true

require "socket"
require_relative "../support/ruby_process"

# A store, or a machine in between, that sends any response. False numbers must not cost more than the sent bytes.
RSpec.describe EncryptedS3Service::Client, "and a store that lies" do
  before { skip "no /proc" unless File.exist?("/proc/self/status") }

  # @yieldparam socket [TCPSocket] of each request, whose head was read
  def store(answer)
    listener = TCPServer.new("127.0.0.1", 0)
    thread = Thread.new do
      loop { Thread.new(listener.accept) { |socket| serve(socket, answer) } }
    end
    yield "http://127.0.0.1:#{listener.addr[1]}"
  ensure
    thread&.kill&.join
    listener&.close
  end

  def serve(socket, answer)
    line = socket.gets or return
    headers = []
    while (header = socket.gets&.chomp) && !header.empty?
      headers << header
    end
    socket.read(headers.filter_map { |one| one[/\Acontent-length: (\d+)\z/i, 1] }.first.to_i)
    answer.call(socket, line)
  rescue SystemCallError, IOError
    nil
  ensure
    socket.close unless socket.closed?
  end

  # @return [Array(String, Integer, Float)] what a client in a process of its own raised, how much memory it took for
  #   it in bytes, and how many seconds
  def outcome(answer, code, **settings)
    store(answer) do |endpoint|
      options = TestStore.settings_for(endpoint, http_read_timeout: 2, retry_limit: 0, **settings)
      printed, = RubyProcess.run(<<~RUBY, options)
        client = EncryptedS3Service::Client.new(**input[0])
        most = -> { File.read("/proc/self/status")[/VmHWM:\\s*(\\d+)/, 1].to_i * 1024 }
        client.exist?("warm") rescue nil
        before, began = most.call, Process.clock_gettime(Process::CLOCK_MONOTONIC)
        begin
          #{code}
          raised = "nothing"
        rescue Exception => e
          raised = e.class.name
        end
        puts "outcome", raised, most.call - before, Process.clock_gettime(Process::CLOCK_MONOTONIC) - began
      RUBY
      raised, memory, seconds = printed.lines(chomp: true).drop_while { |line| line != "outcome" }.drop(1)
      raise "the client's process ended:\n#{printed}" unless seconds

      [raised, Integer(memory), Float(seconds)]
    end
  end

  # The head of an answer with a plausible envelope.
  def self.head(size, *more)
    envelope = { "key-v2" => ["k" * 60].pack("m0"), "iv" => ["i" * 12].pack("m0"), "tag-len" => "128",
                 "cek-alg" => "AES/GCM/NoPadding", "wrap-alg" => "AES/GCM", "matdesc" => "{}" }
    ["HTTP/1.1 200 OK", "content-length: #{size}", "etag: \"e\"", *more,
     *envelope.map { |name, value| "x-amz-meta-x-amz-#{name}: #{value}" }, "", ""].join("\r\n")
  end

  many = 1 << 20
  let(:many) { many }

  answers = {
    "claims 8 EB and sends a few bytes" => ->(to, _) { to.write(head((1 << 63) - 1), "few") },
    "claims a size of more than 64 bits" => ->(to, _) { to.write(head("9" * 30), "few") },
    "claims a range of 8 EB" => lambda do |to, _|
      size = (1 << 63) - 1
      to.write(head(100, "content-range: bytes 0-99/#{size}").sub("200 OK", "206 Partial Content"), "x" * 100)
    end,
    "sends an invalid range" => lambda do |to, _|
      to.write(head(100, "content-range: bytes 99-0/-5").sub("200 OK", "206 Partial Content"), "x" * 100)
    end,
    "sends a description of 8 MB" => lambda do |to, _|
      to.write(head(16).sub("matdesc: {}", "matdesc: #{"x" * (8 * many)}"))
    end,
    "sends a million headers" => ->(to, _) { to.write("HTTP/1.1 200 OK\r\n", "x-amz-meta-a: b\r\n" * many, "\r\n") },
    "sends an endless header" => lambda do |to, _|
      to.write("HTTP/1.1 200 OK\r\nx-amz-meta-a: ")
      200.times { to.write("a" * many) }
    end,
    "sends an error of 200 MB" => lambda do |to, _|
      to.write("HTTP/1.1 403 Forbidden\r\ncontent-type: application/xml\r\n\r\n<Error><Code>")
      200.times { to.write("a" * many) }
    end,
    "sends an error with growing entities" => lambda do |to, _|
      entities = (1..9).map { |at| %(<!ENTITY l#{at} "#{"&l#{at - 1};" * 10}">) }.join
      xml = %(<!DOCTYPE x [<!ENTITY l0 "aaaaaaaaaa">#{entities}]><Error><Code>&l9;</Code></Error>)
      to.write("HTTP/1.1 403 Forbidden\r\ncontent-length: #{xml.bytesize}\r\n\r\n#{xml}")
    end,
    "sends chunks of 8 EB" => lambda do |to, _|
      to.write(head(1).sub("content-length: 1", "transfer-encoding: chunked"), "7fffffffffffffff\r\nabc")
    end,
    "sends nothing" => ->(_, _) { sleep 30 },
    "speaks another protocol" => ->(to, _) { to.write("SSH-2.0-OpenSSH_9.2\r\n" * 1000) },
    "redirects to another address" => lambda do |to, _|
      to.write("HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:1/latest/\r\ncontent-length: 0\r\n\r\n")
    end
  }

  answers.each do |what, answer|
    it "raises soon and uses bounded memory if the store #{what}" do
      error, memory, seconds = outcome(answer, 'client.download("a"); client.download("a") { |chunk| chunk }')
      expect(error).to match(/\AEncryptedS3Service::(Transport|Access|Configuration|Truncated|Unwrap)Error\z/)
      expect(memory).to be < 60_000_000
      expect(seconds).to be < 15
    end
  end

  it "reads the object and uses bounded memory if the store sends an endless segment map" do
    new_client(segment_index: false).upload(key = unique_key, StringIO.new(random_bytes(2 * many)))
    headers, body = stored(key)
    envelope = headers.select { |name, _| name.start_with?("x-amz-meta-") }.map { |pair| pair.join(": ") }
    answer = lambda do |to, line|
      unless line.include?(".segments")
        head = ["HTTP/1.1 200 OK", "content-length: #{body.bytesize}", "etag: \"e\"", *envelope, "", ""]
        next to.write(head.join("\r\n"), body)
      end

      to.write("HTTP/1.1 206 Partial Content\r\netag: \"m\"\r\ncontent-range: bytes 0-607/608\r\n\r\n")
      200.times { to.write("ES3SEGMT".ljust(many, "a")) }
    end
    code = "client.download(#{key.inspect}).bytesize == #{2 * many} or raise ArgumentError"
    error, memory, = outcome(answer, code, memory_limit: many)
    expect(error).to eq("nothing")
    expect(memory).to be < 100_000_000
  end

  it "raises and uses bounded memory if the store sends a list of 200 MB" do
    answer = lambda do |to, line|
      next to.write("HTTP/1.1 204 No Content\r\n\r\n") unless line.include?("list-type")

      to.write("HTTP/1.1 200 OK\r\ncontent-type: application/xml\r\n\r\n<ListBucketResult>")
      200.times { to.write("<Contents><Key>a</Key></Contents>" * 30_000) }
    end
    error, memory, = outcome(answer, 'client.delete_prefixed("a")')
    expect(error).to eq("EncryptedS3Service::TransportError")
    expect(memory).to be < 150_000_000
  end
end
