# frozen_string_literal: true

require_relative "../support/aws_clients"
require_relative "../support/quirky_stores"

# Answers that other stores, and proxies and firewalls before them, give to requests that Amazon answers otherwise.
RSpec.describe EncryptedS3Service::Client, "and odd answers" do
  let(:mebibyte) { TestStore::MEBIBYTE }
  let(:key) { unique_key }
  let(:parts) { { upload: { multipart_threshold: 5 * mebibyte, part_size: 5 * mebibyte } } }

  def client_of(proxy, **settings) = new_client(endpoint: proxy.endpoint, retry_limit: 0, **settings)

  def refusing(refusal, &) = RefusingStore.run(server.endpoint, refusal, &)

  def altering(alter, &) = AlteringStore.run(server.endpoint, alter, &)

  # The same answer with another body.
  def with(head, body) = [head.sub(/^content-length:[^\r]*/i, "Content-Length: #{body.bytesize}"), body]

  def answer(type, body, status = "200 OK")
    ["HTTP/1.1 #{status}\r\nContent-Type: #{type}\r\nContent-Length: #{body.bytesize}\r\n\r\n", body]
  end

  def error(code) = "<Error><Code>#{code}</Code></Error>"

  describe "to requests without a body" do
    # Google, and firewalls with OWASP's rules. The store itself accepts them.
    let(:refusal) do
      lambda do |request|
        { status: 411, answer: "" } if %w[PUT POST].include?(request.verb) && !request.headers.key?("content-length")
      end
    end

    it "are not that their length is missing (411)" do
      refusing(refusal) do |proxy|
        client = client_of(proxy, **parts)
        client.upload(key, StringIO.new(data = random_bytes(11 * mebibyte)))
        new_key = { encryption_key: "n" * 32, encryption_key_id: "2026" }
        client_of(proxy, **new_key, decryption_keys: { TestStore::KEY_ID => TestStore::KEY }).rotate(key)
        expect(client_of(proxy, **new_key).download(key)).to be_bytes(data)
      end
    end
  end

  describe "of a store with another time" do
    # A wrong clock of this machine looks the same.
    operations = { "upload" => ->(client, key) { client.upload(key, StringIO.new("data")) },
                   "read" => ->(client, key) { client.download(key) },
                   "question whether there is a file" => ->(client, key) { client.exist?(key) },
                   "rotation" => ->(client, key) { client.rotate(key) } }
    operations.each do |name, operation|
      it "do not fail the first #{name} of a process, nor any later one" do
        new_client.upload(key, StringIO.new("data"))
        [600, -600].each do |seconds|
          StrictlyTimedStore.run(server.endpoint, seconds) do |proxy|
            client = client_of(proxy, retry_limit: 1)
            expect { 2.times { operation.call(client, key) } }.not_to raise_error
          end
        end
        expect(new_client.download(key)).to eq("data")
      end
    end

    it "that refuses a request for another reason are not followed by more attempts than one" do
      refusing(->(_request) { { status: 403, answer: "" } }) do |proxy|
        expect { client_of(proxy, retry_limit: 3).exist?(key) }.to raise_error(EncryptedS3Service::AccessError)
        expect(proxy.requests.size).to eq(1)
      end
    end
  end

  describe "that tell to come again" do
    [[429, "<html>"], [408, ""], [509, ""], [520, "<html>"], [524, ""], [429, "TooManyRequests"], [400, "BadDigest"],
     [400, "IncompleteBody"], [409, "OperationAborted"], [409, "ConditionalRequestConflict"],
     [200, "ServiceUnavailable"]].each do |status, code|
      it "are followed by another attempt: #{status} #{code}" do
        left = 1
        body = code.match?(/\A\w+\z/) ? error(code) : code
        refusal = ->(request) { { status: status, answer: body } if request.verb == "PUT" && (left -= 1) >= 0 }
        refusing(refusal) do |proxy|
          client_of(proxy, retry_limit: 1).upload(key, StringIO.new("data"))
          expect(proxy.requests.map(&:verb)).to eq(%w[PUT PUT])
        end
        expect(new_client.download(key)).to eq("data")
      end
    end

    it "decide how long the pause is" do
      times = []
      wait = lambda do |request, _head, _body|
        times << Process.clock_gettime(Process::CLOCK_MONOTONIC) if request.verb == "PUT"
        ["HTTP/1.1 429 Busy\r\nRetry-After: 2\r\nContent-Length: 0\r\n\r\n", ""] if times.size == 1
      end
      altering(wait) { |proxy| client_of(proxy, retry_limit: 1).upload(key, StringIO.new("data")) }
      expect(times[1] - times[0]).to be_between(2, 6)
    end

    it "are final after the last attempt" do
      refusing(->(_request) { { status: 429, answer: "" } }) do |proxy|
        expect { client_of(proxy).upload(key, StringIO.new("data")) }
          .to raise_error(EncryptedS3Service::TransportError, /answered 429/)
      end
    end
  end

  describe "that are web pages, as where a proxy asks for a login" do
    let(:alter) { ->(request, *) { page(request) } }

    # The length of a page is sent with the answer to HEAD as well.
    def page(request, status = "200 OK")
      head, body = answer("text/html; charset=utf-8", "<p>", status)
      [head, request.verb == "HEAD" ? "" : body]
    end

    uses = {
      "store a file" => ->(client, key) { client.upload(key, StringIO.new("data")) },
      "read" => ->(client, key) { client.download(key) },
      "delete" => ->(client, key) { client.delete(key) },
      "look for a file" => ->(client, key) { client.exist?(key) }
    }
    statuses = { "" => "200 OK", " either if they say that a page is missing" => "404 Not Found" }
    uses.keys.product(statuses.keys).each do |what, condition|
      it "do not #{what}#{condition}" do
        use = uses.fetch(what)
        altering(->(request, *) { page(request, statuses.fetch(condition)) }) do |proxy|
          expect { use.call(client_of(proxy, **parts), key) }
            .to raise_error(EncryptedS3Service::TransportError, /a web page arrived instead of the store's answer/)
        end
      end
    end

    it "begin no large file, and are no list" do
      altering(alter) do |proxy|
        client = client_of(proxy, **parts)
        expect { client.upload(key, StringIO.new("x" * (11 * mebibyte))) }
          .to raise_error(EncryptedS3Service::TransportError)
        expect { client.delete_prefixed(key) }.to raise_error(EncryptedS3Service::TransportError)
      end
    end

    it "do not pass for a missing object while a proxy cannot find the store" do
      server.put(bucket, key, "<p>")
      requests = 0
      altering(->(request, *) { page(request, "404 Not Found") if (requests += 1) == 1 }) do |proxy|
        expect(client_of(proxy, retry_limit: 1).exist?(key)).to be(true)
      end
    end

    it "are not the answers to HEAD of a store that names HTML as their type" do
      server.put(bucket, key, "<p>")
      altering(->(request, *) { page(request, "404 Not Found") if request.verb == "HEAD" }) do |proxy|
        client = client_of(proxy)
        expect([key, unique_key].map { |one| client.exist?(one) }).to eq([true, false])
      end
    end

    it "are not objects that are web pages" do
      server.put(bucket, key, "<p>", { "content-type" => "text/html" })
      expect(new_client.exist?(key)).to be(true)
    end
  end

  describe "that confirm nothing" do
    it "do not store a file, if it is not there" do
      altering(->(request, *) { answer("text/plain", "ok") if request.verb == "PUT" }) do |proxy|
        proxy.fault("HeadObject", status: 404)
        expect { client_of(proxy).upload(key, StringIO.new("data")) }
          .to raise_error(EncryptedS3Service::TransportError, /did not confirm.*no entity tag/)
      end
    end

    it "store a file, if it is there" do
      alter = ->(request, head, body) { [head.gsub(/^etag:[^\r]*\r\n/i, ""), body] if request.verb == "PUT" }
      altering(alter) do |proxy|
        stored = client_of(proxy).upload(key, StringIO.new("data"))
        expect(stored[:etag]).to eq(server.head(bucket, key)[1]["etag"])
      end
    end

    it "store a large file, also if a second request to complete it is refused" do
      refused = answer("application/xml", error("InvalidPart"), "400 Bad Request")
      altering(->(request, *) { refused if request.operation == "CompleteMultipartUpload" }) do |proxy|
        expect(client_of(proxy, **parts).upload(key, StringIO.new(data = random_bytes(11 * mebibyte)))[:bytes])
          .to eq(data.bytesize)
        expect(new_client.download(key)).to be_bytes(data)
      end
    end

    it "are errors, whatever is said of their type" do
      body = error("InternalError")
      altering(->(*) { answer("application/xml; charset=utf-8", body) }) do |proxy|
        expect { client_of(proxy).download(key) }.to raise_error(EncryptedS3Service::TransportError)
      end
    end
  end

  describe "that are parts of an object without Content-Range" do
    let(:alter) { ->(_request, head, body) { [head.sub(/^content-range:[^\r]*\r\n/i, ""), body] } }

    it "are not taken for a changed object" do
      new_client.upload(key, StringIO.new(random_bytes(12 * mebibyte)))
      altering(alter) do |proxy|
        expect { client_of(proxy).download(key) }
          .to raise_error(EncryptedS3Service::StoreError, /without the header `Content-Range`/)
      end
    end

    it "are read if they are the whole object" do
      new_client.upload(key, StringIO.new(data = random_bytes((5 * mebibyte) - 16)))
      altering(alter) { |proxy| expect(client_of(proxy).download(key)).to be_bytes(data) }
    end
  end

  describe "of HTTP/1.0 without a length, which end with the connection" do
    # Ends each body after a number of bytes.
    def ending(after)
      lambda do |request, head, body|
        next unless request.verb == "GET"

        head = head.sub("HTTP/1.1", "HTTP/1.0").gsub(/^content-length:[^\r]*\r\n/i, "")
        [head, body.byteslice(0, after.call(request, body))]
      end
    end

    it "are read" do
      new_client.upload(key, StringIO.new(data = random_bytes(11 * mebibyte)))
      altering(ending(->(_request, body) { body.bytesize })) do |proxy|
        expect(client_of(proxy).download(key)).to be_bytes(data)
      end
    end

    it "are continued where they end too early" do
      new_client.upload(key, StringIO.new(data = random_bytes(1 * mebibyte)))
      left = 1
      half = ->(_request, body) { (left -= 1) >= 0 ? body.bytesize / 2 : body.bytesize }
      altering(ending(half)) { |proxy| expect(client_of(proxy).download(key)).to be_bytes(data) }
    end

    it "are not a damaged instruction file where they end too early" do
      settings = { envelope_location: "instruction_file" }
      AwsClients.v2(TestStore::KEY, envelope_location: :instruction_file)
                .put_object(bucket: bucket, key: key, body: "data")
      left = 1
      half = lambda do |request, body|
        request.target.include?(".instruction") && (left -= 1) >= 0 ? body.bytesize / 2 : body.bytesize
      end
      altering(ending(half)) { |proxy| expect(client_of(proxy, **settings).download(key)).to eq("data") }
      expect(left).to be < 0
    end
  end

  it "that there are no tags (NoSuchTagSet) do not prevent the rotation of a large object" do
    refusal = ->(request) { { status: 404, answer: error("NoSuchTagSet") } if request.target.include?("?tagging") }
    new_client.upload(key, StringIO.new(data = random_bytes(11 * mebibyte)))
    new_key = { encryption_key: "n" * 32, encryption_key_id: "2026" }
    refusing(refusal) do |proxy|
      client = client_of(proxy, **new_key, decryption_keys: { TestStore::KEY_ID => TestStore::KEY })
      expect(client.rotate(key, largest_copy: 5 * mebibyte).outcome).to eq(:rotated)
      expect(client.download(key)).to be_bytes(data)
    end
  end
end
