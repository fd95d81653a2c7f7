# frozen_string_literal: true

require_relative "../support/fault_proxy"
require_relative "../support/faults/fault"
require_relative "../support/faults/faulty_store"

# Stores and networks fail at any request. Temporary failures are retried; other failures leave the bucket as it was.
RSpec.describe EncryptedS3Service::Client, "before a store that fails" do
  let(:mebibyte) { TestStore::MEBIBYTE }
  let(:key) { unique_key }
  let(:direct) { new_client }
  # Three parts, and several ranges.
  let(:large) { random_bytes(13 * mebibyte) }
  let(:proxy) { FaultProxy.new(URI(server.endpoint)) }

  after { proxy.stop }

  def faulty(**overrides)
    new_client(endpoint: proxy.endpoint, retry_limit: 0, **overrides,
               upload: { multipart_threshold: 5 * mebibyte, part_size: 5 * mebibyte })
  end

  def counts = proxy.requests.map(&:operation).tally

  describe "an upload" do
    steps = {
      "PutObject" => [1000, {}],
      "CreateMultipartUpload" => [12 << 20, {}],
      "UploadPart of the first part" => [12 << 20, { part: 1 }],
      "UploadPart of a part in the middle" => [12 << 20, { part: 2 }],
      "UploadPart of the last part" => [12 << 20, { part: 3 }],
      "CompleteMultipartUpload" => [12 << 20, {}]
    }

    # The object exists before, is unchanged afterwards, and is the only one.
    def expect_no_trace
      direct.upload(key, StringIO.new("the old one"))
      yield
      expect(traces_of(key)).to eq([key])
      expect(direct.download(key)).to eq("the old one")
    end

    steps.each do |step, (size, which)|
      operation = step.split.first

      { "is refused" => { status: 500 }, "gets no answer" => { drop: :before } }.each do |failure, action|
        it "whose #{step} #{failure} raises and leaves the bucket unchanged" do
          proxy.fault(operation, **which, **action)
          expect_no_trace do
            expect { faulty.upload(key, StringIO.new(random_bytes(size))) }
              .to raise_error(EncryptedS3Service::TransportError) { |e| expect(e.retryable?).to be(true) }
          end
        end
      end

      it "retries #{step} with the same ciphertext" do
        proxy.fault(operation, **which, times: 1, status: 503)
        data = random_bytes(size)
        faulty(retry_limit: 3).upload(key, StringIO.new(data), checksum: md5(data))
        tries = proxy.requests(operation).select { |request| which.empty? || request.part == which[:part] }
        expect(tries.size).to eq(2)
        expect(tries.map(&:sha256).uniq.size).to eq(1)
        expect(stored_plaintext(key)).to be_bytes(data)
      end
    end

    { "PutObject" => 1000, "UploadPart" => 12 << 20 }.each do |operation, size|
      it "sends the same ciphertext again when the response to #{operation} is lost" do
        proxy.fault(operation, times: 1, drop: :after)
        faulty(retry_limit: 3).upload(key, StringIO.new(data = random_bytes(size)))
        expect(proxy.requests(operation).group_by(&:part).values.map { |tries| tries.map(&:sha256).uniq.size })
          .to all(eq(1))
        expect(proxy.requests(operation).size).to eq(operation == "PutObject" ? 2 : 4)
        expect(stored_plaintext(key)).to be_bytes(data)
      end

      it "stops retrying #{operation} after `retry_limit` retries" do
        proxy.fault(operation, status: 503)
        expect_no_trace do
          expect { faulty(retry_limit: 1).upload(key, StringIO.new(random_bytes(size))) }
            .to raise_error(EncryptedS3Service::TransportError)
        end
        expect(proxy.requests(operation).group_by(&:part).values.map(&:size).max).to eq(2)
      end
    end

    it "fails when CompleteMultipartUpload fails after its response began with 200, as it may on Amazon" do
      proxy.fault("CompleteMultipartUpload", status: 200, answer: "<Error><Code>InternalError</Code></Error>")
      expect_no_trace do
        expect { faulty.upload(key, StringIO.new(large)) }.to raise_error(EncryptedS3Service::TransportError)
      end
    end

    it "retries the abort when aborting fails" do
      proxy.fault("UploadPart", part: 2, status: 500)
      proxy.fault("AbortMultipartUpload", times: 2, status: 500)
      expect_no_trace do
        expect { faulty.upload(key, StringIO.new(large)) }.to raise_error(EncryptedS3Service::TransportError)
      end
    end

    it "reports the first failure, not that of the abort" do
      proxy.fault("UploadPart", part: 1, status: 403)
      proxy.fault("AbortMultipartUpload", times: 1, status: 500)
      expect { faulty.upload(key, StringIO.new(large)) }.to raise_error(EncryptedS3Service::AccessError, /UploadPart/)
    end

    it "does not complete an upload with a wrong checksum, and aborts it" do
      expect { faulty.upload(key, StringIO.new(large), checksum: md5("other")) }
        .to raise_error(EncryptedS3Service::ChecksumError)
      expect(counts).to include("CreateMultipartUpload" => 1, "AbortMultipartUpload" => 1)
      expect(counts).not_to include("CompleteMultipartUpload")
    end

    it "sends nothing of a small file with a wrong checksum" do
      expect { faulty.upload(key, StringIO.new("x"), checksum: md5("y")) }
        .to raise_error(EncryptedS3Service::ChecksumError)
      expect(proxy.requests).to eq([])
    end

    it "stops reading its source after a part has failed" do
      # A permanent refusal. Other parts continue while one is retried.
      proxy.fault("UploadPart", part: 1, status: 403)
      source = StringIO.new(random_bytes(100 * mebibyte))
      expect { faulty.upload(key, source) }.to raise_error(EncryptedS3Service::AccessError)
      # At most twelve parts are held, and one piece of the source.
      expect(source.pos).to be <= 65 * mebibyte
    end
  end

  describe "whose responses or retries belong to another request" do
    # An answer that comes a second time when the next request is already under way, as from a broken proxy.
    def with_answer_twice(name)
      Faults::FaultyStore.run(server.endpoint) do |store|
        twice = Faults::ALL.find { |fault| fault.name == "answer twice" }
        store.arm(twice, Faults::Call.new(name, key.split("/").last, 1), always: false)
        yield new_client(endpoint: store.endpoint), store
        expect(store.happened).to eq(1)
      end
    end

    it "does not accept the response to an earlier request" do
      direct.upload(key, StringIO.new("here"))
      with_answer_twice("HeadObject") do |client|
        expect([client.exist?(key), client.exist?("#{key}-not"), client.exist?(key)]).to eq([true, false, true])
      end
      with_answer_twice("GetObject") do |client|
        expect(client.download(key)).to eq("here")
        expect { client.download("#{key}-not") }.to raise_error(EncryptedS3Service::NotFoundError)
      end
    end

    it "works with a store that uses one request id for all responses" do
      direct.upload(key, StringIO.new("here"))
      same = Class.new(FaultProxy) do
        def forward(request)
          head, body = super
          [head.sub(/^x-amz-request-id:.*?\r/i, "x-amz-request-id: 1\r"), body]
        end
      end
      same.run(server.endpoint) do |store|
        client = new_client(endpoint: store.endpoint)
        expect(Array.new(5) { client.download(key) }.uniq).to eq(["here"])
        # The second answer is doubted; the third shows that the ids are not unique here.
        expect(store.requests.size).to eq(6)
      end
    end

    it "retries independently of the failures of another store" do
      proxy.fault("HeadObject", status: 503)
      broken = faulty(retry_limit: 1)
      calls = Queue.new((1..120).to_a).close
      Array.new(30) { Thread.new { broken.exist?(key) rescue nil while calls.pop } }.each(&:join) # rubocop:disable Style/RescueModifier
      FaultProxy.run(server.endpoint) do |other|
        other.fault("HeadObject", times: 1, status: 503)
        expect(new_client(endpoint: other.endpoint, retry_limit: 1).exist?(key)).to be(false)
      end
    end

    it "reports expired credentials" do
      answer = "<Error><Code>ExpiredToken</Code></Error>"
      %w[GetObject PutObject].each { |operation| proxy.fault(operation, status: 400, answer: answer) }
      [-> { faulty.download(key) }, -> { faulty.upload(key, StringIO.new("x")) }].each do |call|
        expect(&call).to raise_error(EncryptedS3Service::AccessError) { |e| expect(e.store_code).to eq("ExpiredToken") }
      end
    end

    it "does not take an error with the status 200 for an object without an envelope" do
      direct.upload(key, StringIO.new("here"))
      proxy.fault("GetObject", status: 200, answer: "<Error><Code>InternalError</Code></Error>")
      expect { faulty.download(key) }.to raise_error(EncryptedS3Service::TransportError, /200 with an error/)
    end
  end

  describe "an upload that is interrupted during its last request" do
    { "PutObject" => 1000, "CompleteMultipartUpload" => 12 << 20 }.each do |operation, size|
      it "#{operation}, reports that the store has completed it" do
        arrived = Queue.new
        # The answer takes longer than any time limit.
        proxy.fault(operation, times: 1) { arrived.push(true) }
        data = random_bytes(size)
        log = StringIO.new
        before = EncryptedS3Service.logger
        EncryptedS3Service.logger = Logger.new(log)
        thread = Thread.new { faulty.upload(key, StringIO.new(data)) }
        arrived.pop
        # Its request is forwarded now, and the interrupt comes before the answer or after it.
        thread.kill.join
        stored = direct.exist?(key) && direct.download(key) == data
        warned = log.string.include?("the object is stored")
        expect(thread.value ? true : warned).to eq(stored)
      ensure
        EncryptedS3Service.logger = before
      end
    end
  end

  describe "an upload that is interrupted while a part is sent" do
    # An upload whose second part does not arrive, when it has reached that point.
    def stuck_upload
      gate = proxy.hold("UploadPart", part: 2)
      direct.upload(key, StringIO.new("the old one"))
      thread = Thread.new { faulty.upload(key, StringIO.new(large)) }
      thread.report_on_exception = false
      gate.arrived
      thread
    end

    def expect_nothing_left
      expect(traces_of(key)).to eq([key])
      expect(direct.download(key)).to eq("the old one")
      expect(counts).to include("AbortMultipartUpload" => 1)
    end

    it "by Thread#kill is aborted before the thread ends" do
      thread = stuck_upload
      thread.kill
      expect(thread.join(5)).to be(thread)
      expect_nothing_left
    end

    it "by Thread#raise is aborted before the error is rescued" do
      thread = stuck_upload
      thread.raise(RuntimeError, "shut down")
      expect { thread.join(5) }.to raise_error(RuntimeError, "shut down")
      expect_nothing_left
    end

    it "is aborted as soon as S3 has created it, if S3 is still creating it" do
      direct.upload(key, StringIO.new("the old one"))
      gate = proxy.hold("CreateMultipartUpload")
      thread = Thread.new { faulty.upload(key, StringIO.new(large)) }
      gate.arrived
      thread.kill
      gate.open
      expect(thread.join(5)).to be(thread)
      expect_nothing_left
    end

    it "by Timeout is aborted before the error is rescued" do
      proxy.hold("UploadPart", part: 2)
      direct.upload(key, StringIO.new("the old one"))
      large
      expect { Timeout.timeout(1) { faulty.upload(key, StringIO.new(large)) } }.to raise_error(Timeout::Error)
      expect_nothing_left
    end
  end

  describe "a download" do
    def store(data) = direct.upload(key, StringIO.new(data))

    def etag = server.head(bucket, key)[1].fetch("etag")

    def expect_nothing_yielded(reader, error)
      yielded = 0
      expect { reader.download(key) { yielded += 1 } }.to raise_error(error)
      expect(yielded).to eq(0)
    end

    # Of 1000 bytes, which are 1016 when stored.
    [0, 1, 500, 1015].each do |received|
      it "whose connection breaks after #{received} of 1016 bytes requests the rest of the same version" do
        store(data = random_bytes(1000))
        proxy.fault("GetObject", times: 1, cut: received)
        expect(faulty.download(key)).to be_bytes(data)
        first, second, *others = proxy.requests
        expect(first.headers).not_to include("if-match")
        expect(second).to have_attributes(operation: "GetObject", range: [received, 1015])
        expect(second.headers).to include("if-match" => etag)
        expect(others).to eq([])
      end
    end

    it "of several ranges is complete if any of them breaks" do
      store(large)
      expect(faulty.download(key)).to be_bytes(large)
      ranges = proxy.requests.size
      ranges.times do |number|
        proxy.fault("GetObject", skip: number, times: 1, cut: 1000)
        before = proxy.requests.size
        expect(faulty.download(key)).to be_bytes(large)
        asked = proxy.requests.drop(before)
        expect(asked.size).to eq(ranges + 1)
        expect(asked.drop(1).map { |request| request.headers["if-match"] }.uniq).to eq([etag])
      end
    end

    it "that breaks several times is joined from its pieces" do
      store(data = random_bytes(1000))
      proxy.fault("GetObject", times: 3, cut: 100)
      expect(faulty.download(key)).to be_bytes(data)
      expect(proxy.requests.map { |request| request.range.first }).to eq([0, 100, 200, 300])
    end

    { "in memory" => 64 << 20, "in a temporary file" => 1 << 20 }.each do |place, limit|
      it "that breaks every time raises before anything is yielded of the bytes kept #{place}" do
        store(large)
        proxy.fault("GetObject", skip: 2, cut: 1000)
        reader = faulty(memory_limit: limit)
        expect_nothing_yielded(reader, EncryptedS3Service::TransportError)
        Tempfile.create do |file|
          expect { reader.download_file(key, file) }.to raise_error(EncryptedS3Service::TransportError)
          expect(file.size).to eq(0)
        end
      end

      it "of an object that is replaced between two ranges never mixes versions, also #{place}" do
        store(large)
        proxy.fault("GetObject", skip: 1, times: 1) { store(large.reverse) }
        expect_nothing_yielded(faulty(memory_limit: limit), EncryptedS3Service::ChangedError)
      end
    end

    it "of an object that is replaced while the connection is broken never mixes versions" do
      store("a" * 1000)
      proxy.fault("GetObject", times: 1, cut: 500)
      proxy.fault("GetObject", times: 1) { store("b" * 1000) }
      expect_nothing_yielded(faulty, EncryptedS3Service::ChangedError)
    end

    it "of an object whose key is rotated between two ranges continues" do
      store(large)
      rotating = new_client(encryption_key: "n" * 32, encryption_key_id: "new",
                            decryption_keys: { TestStore::KEY_ID => TestStore::KEY })
      { memory: 64 << 20, file: 1 << 20 }.each_value do |limit|
        proxy.fault("GetObject", skip: proxy.requests("GetObject").size + 1, times: 1) { rotating.rotate(key) }
        reader = new_client(endpoint: proxy.endpoint, memory_limit: limit, encryption_key: "n" * 32,
                            encryption_key_id: "new", decryption_keys: { TestStore::KEY_ID => TestStore::KEY })
        expect(reader.download(key)).to be_bytes(large)
        store(large)
      end
    end

    it "of an object that is deleted between two ranges raises" do
      store(large)
      proxy.fault("GetObject", skip: 1, times: 1) { direct.delete(key) }
      expect_nothing_yielded(faulty, EncryptedS3Service::ChangedError)
    end

    it "is retried when the store answers 503" do
      store(data = random_bytes(1000))
      proxy.fault("GetObject", times: 1, status: 503)
      proxy.fault("HeadObject", times: 1, status: 503)
      client = faulty(retry_limit: 3)
      expect([client.download(key) == data, client.exist?(key)]).to eq([true, true])
      expect(counts).to eq("GetObject" => 2, "HeadObject" => 2)
    end

    it "that the store always refuses raises a retryable error" do
      store("x")
      proxy.fault("GetObject", status: 503)
      expect { faulty.download(key) }
        .to raise_error(EncryptedS3Service::TransportError) { |e| expect(e.retryable?).to be(true) }
    end
  end
end
