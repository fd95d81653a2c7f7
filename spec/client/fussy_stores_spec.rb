# frozen_string_literal: true

require_relative "../support/http_answers"
require_relative "../support/quirky_stores"

# Stores that speak S3 in their own way.
RSpec.describe EncryptedS3Service::Client, "before a fussy store" do
  let(:mebibyte) { TestStore::MEBIBYTE }
  let(:key) { unique_key }

  def client_of(proxy, **settings) = new_client(endpoint: proxy.endpoint, retry_limit: 0, **settings)

  describe "that accepts no part larger than the first (Cloudflare R2)" do
    let(:upload) { { multipart_threshold: 5 * mebibyte, part_size: 5 * mebibyte } }

    # The tag has 16 bytes, and the part size is a multiple of 16.
    [17, 16, 15, 8, 1, 0, -1].each do |below|
      it "stores a file of #{below} bytes below a multiple of the part size" do
        EqualPartsStore.run(server.endpoint) do |proxy|
          client_of(proxy, upload: upload).upload(key, StringIO.new(data = random_bytes((10 * mebibyte) - below)))
          expect(stored_plaintext(key)).to be_bytes(data)
          sizes = proxy.requests("UploadPart").sort_by(&:part).map(&:bytesize)
          expect(sizes[..-2].uniq).to eq([5 * mebibyte])
          expect(sizes.last).to be_between(1, 5 * mebibyte)
        end
      end
    end
  end

  describe "that answers 200 to a copy and changes nothing" do
    let(:new_settings) { { encryption_key: "n" * 32, encryption_key_id: "2026" } }
    let(:rotation) { { **new_settings, decryption_keys: { TestStore::KEY_ID => TestStore::KEY } } }

    it "reports that the object was not rotated, with verify" do
      new_client.upload(key, StringIO.new("data"))
      CopyIgnoringStore.run(server.endpoint) do |proxy|
        expect { client_of(proxy, **rotation).rotate(key, verify: true) }
          .to raise_error(EncryptedS3Service::NotRotatedError, /#{Regexp.escape(key)}.*Do not remove the old key/) { |e|
            expect(e.code).to eq("not-rotated")
          }
      end
      expect(new_client.download(key)).to eq("data")
    end

    it "reports nothing when the envelope is new" do
      new_client.upload(key, StringIO.new("data"))
      FaultProxy.run(server.endpoint) do |proxy|
        expect(client_of(proxy, **rotation).rotate(key, verify: true)).to have_attributes(outcome: :rotated)
        expect(proxy.requests.map(&:verb)).to eq(%w[HEAD HEAD PUT HEAD])
      end
      expect(new_client(**new_settings).download(key)).to eq("data")
    end
  end

  def refusing(refusal, &) = RefusingStore.run(server.endpoint, refusal, &)

  def error(code, message = nil) = "<Error><Code>#{code}</Code>#{"<Message>#{message}</Message>" if message}</Error>"

  describe "that sends an endless response" do
    let(:blanks) { " " * (20 * TestStore::MEBIBYTE) }
    let(:listing) { "<ListBucketResult>#{blanks}<IsTruncated>false</IsTruncated></ListBucketResult>" }

    it "is refused before a list fills the memory" do
      refusing(->(_request) { { status: 200, answer: listing } }) do |store|
        expect { client_of(store).delete_prefixed("a/") }.to raise_error(EncryptedS3Service::TransportError)
      end
    end
  end

  describe "that refuses requests for checksums (Backblaze B2)" do
    let(:refusal) do
      lambda do |request|
        next unless request.headers["x-amz-checksum-mode"]

        { status: 400, answer: error("InvalidArgument", "Unsupported header 'x-amz-checksum-mode' received") }
      end
    end

    it "reads without them, and requests them only once" do
      new_client.upload(key, StringIO.new(data = random_bytes(9 * mebibyte)))
      refusing(refusal) do |proxy|
        client = client_of(proxy)
        2.times { expect(client.download(key)).to be_bytes(data) }
        asked = proxy.requests("GetObject").count { |request| request.headers["x-amz-checksum-mode"] }
        expect(asked).to eq(1)
      end
    end

    it "reports the original error if that does not help" do
      refusing(->(request) { { status: 400, answer: error("InvalidRequest") } if request.verb == "GET" }) do |proxy|
        expect { client_of(proxy).download(key) }
          .to raise_error(EncryptedS3Service::StoreError) { |e| expect(e.store_code).to eq("InvalidRequest") }
        expect(proxy.requests.size).to eq(2)
      end
    end
  end

  describe "that cannot delete several objects at once" do
    refusals = {
      "wants Content-MD5 for that (older MinIO)" => [400, "MissingContentMD5"],
      "finds the request invalid" => [400, "InvalidRequest"],
      "does not have it (OVH, Google)" => [501, "NotImplemented"],
      "does not take POST" => [405, "MethodNotAllowed"]
    }
    refusals.each do |what, (status, code)|
      it "because it #{what}, deletes them one by one" do
        keys = Array.new(20) { |number| "#{key}/#{number}" }
        keys.each { |name| new_client.upload(name, StringIO.new("x")) }
        refusal = ->(request) { { status: status, answer: error(code) } if request.target.include?("?delete") }
        refusing(refusal) do |proxy|
          client = client_of(proxy)
          client.delete_prefixed("#{key}/1")
          expect(server.list(bucket, prefix: key).size).to eq(9)
          client.delete_prefixed("#{key}/")
          expect(server.list(bucket, prefix: key)).to eq([])
          expect(proxy.requests.count { |request| request.verb == "POST" }).to eq(1)
        end
      end
    end

    it "reports single objects that cannot be deleted" do
      new_client.upload("#{key}/1", StringIO.new("x"))
      refusal = lambda do |request|
        next { status: 501, answer: error("NotImplemented") } if request.verb == "POST"

        { status: 403, answer: error("AccessDenied") } if request.verb == "DELETE"
      end
      refusing(refusal) do |proxy|
        expect { client_of(proxy).delete_prefixed("#{key}/") }.to raise_error(EncryptedS3Service::AccessError)
      end
    end
  end

  describe "that answers DeleteObjects for each object" do
    def deleted(code)
      body = "<DeleteResult><Error><Key>a</Key><Code>#{code}</Code></Error></DeleteResult>"
      refusing(->(request) { { status: 200, answer: body } if request.verb == "POST" }) do |proxy|
        new_client.upload("#{key}/1", StringIO.new("x"))
        client_of(proxy).delete_prefixed("#{key}/")
      end
    end

    it "by the code of the answer" do
      { "AccessDenied" => EncryptedS3Service::AccessError, "SlowDown" => EncryptedS3Service::TransportError,
        "InternalError" => EncryptedS3Service::TransportError, "Odd" => EncryptedS3Service::StoreError }
        .each do |code, error|
          expect { deleted(code) }.to raise_error(error) { |e| expect(e.store_code).to eq(code) }
        end
      expect { deleted("NoSuchKey") }.not_to raise_error
    end
  end

  describe "that answers 412 to the right entity tag (a SeaweedFS of 2025)" do
    let(:refusal) do
      lambda { |request|
        { status: 412, answer: error("PreconditionFailed") } if request.headers["if-match"]
      }
    end

    it "reads all parts of one version" do
      new_client.upload(key, StringIO.new(data = random_bytes(13 * mebibyte)))
      refusing(refusal) { |proxy| expect(client_of(proxy).download(key)).to be_bytes(data) }
    end

    it "reports when the object really was replaced" do
      new_client.upload(key, StringIO.new(random_bytes(13 * mebibyte)))
      refusing(refusal) do |proxy|
        proxy.fault("GetObject", skip: 1, times: 1) do
          new_client.upload(key, StringIO.new(random_bytes(13 * mebibyte, 2)))
        end
        expect { client_of(proxy).download(key) { nil } }.to raise_error(EncryptedS3Service::Error)
      end
    end
  end

  describe "that sends the checksum of the whole object with a part of it (Ceph)" do
    it "is read, and not asked for checksums of parts again" do
      new_client.upload(key, StringIO.new(data = random_bytes(21 * mebibyte)))
      WholeChecksumStore.run(server.endpoint) do |proxy|
        client = client_of(proxy)
        expect(client.download(key)).to be_bytes(data)
        before = proxy.requests.size
        expect(client.download(key)).to be_bytes(data)
        again = proxy.requests.drop(before)
        expect(again.count { |request| request.headers["x-amz-checksum-mode"] }).to eq(0)
        expect(again.map(&:range).uniq.size).to eq(again.size)
      end
    end
  end

  describe "behind a connection that flips bits" do
    def read(flips, size, **settings)
      new_client.upload(key, StringIO.new(data = random_bytes(size)))
      FlippingStore.run(server.endpoint) do |proxy|
        proxy.flips = flips
        yield client_of(proxy, **settings), data, proxy
      end
    end

    { "a small object" => 1000, "an object of several ranges" => 13 << 20 }.each do |what, size|
      it "fetches #{what} again if the checksum of a response is wrong" do
        read(1, size) do |client, data, proxy|
          before = proxy.requests.size
          expect(client.download(key)).to be_bytes(data)
          firsts = proxy.requests.drop(before).map { |request| request.range.first }
          expect(firsts.tally.values.sort.last(2)).to eq(size > 4 << 20 ? [1, 2] : [2])
          # It still requests checksums.
          proxy.flips = 1
          expect(client.download(key)).to be_bytes(data)
        end
      end
    end

    it "relies on the tag alone if checksums are switched off" do
      read(99, 1000, response_checksum_validation: "when_required") do |client, data, _proxy|
        expect(client.download(key)).to be_bytes(data)
      end
    end
  end

  describe "that requires Content-MD5 (Object Lock)" do
    let(:refusal) do
      lambda do |request|
        next if request.verb != "PUT" || request.headers["content-md5"] == md5(request.body)

        { status: 400, answer: error("InvalidRequest", "Content-MD5 OR x-amz-checksum- HTTP header is required") }
      end
    end

    it "gets it, in one request and in parts" do
      upload = { multipart_threshold: 5 * mebibyte, part_size: 5 * mebibyte }
      refusing(refusal) do |proxy|
        client = client_of(proxy, request_checksum_calculation: "when_required", upload: upload)
        [1000, 11 * mebibyte].each do |size|
          client.upload(key, StringIO.new(data = random_bytes(size)))
          expect(new_client.download(key)).to be_bytes(data)
        end
        refused = proxy.requests.count { |request| request.verb == "PUT" && request.headers["content-md5"].nil? }
        expect(refused).to eq(1)
      end
    end
  end

  describe "that names the region of the bucket" do
    body = "<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-1</Region></Error>"
    { 400 => body, 301 => body.sub("AuthorizationHeaderMalformed", "PermanentRedirect") }.each do |status, answer|
      it "has the right region named in the error, after #{status}" do
        refusing(->(_request) { { status: status, answer: answer } }) do |proxy|
          expect { client_of(proxy).upload(key, StringIO.new("x")) }
            .to raise_error(EncryptedS3Service::ConfigurationError, /set `region` to "eu-west-1"/)
        end
      end
    end
  end

  describe "whose answer is only a head" do
    def heading(head, &) = AlteringStore.run(server.endpoint, ->(*) { ["HTTP/1.1 #{head}\r\n\r\n", ""] }, &)

    it "has the right region named in the error" do
      heading("400 Bad Request\r\nx-amz-bucket-region: eu-west-1\r\nContent-Length: 0") do |proxy|
        expect { client_of(proxy).exist?(key) }
          .to raise_error(EncryptedS3Service::ConfigurationError, /set `region` to "eu-west-1"/)
      end
    end

    it "has the other address named, without its path, if it redirects there" do
      [301, 302, 307, 308].each do |status|
        heading("#{status} Moved\r\nLocation: https://s3.example.com:9/a?b=secret\r\nContent-Length: 0") do |proxy|
          [-> { _1.exist?(key) }, -> { _1.upload(key, StringIO.new("x")) }].each do |operation|
            expect { operation.call(client_of(proxy)) }.to raise_error(
              EncryptedS3Service::ConfigurationError, %r{redirects to https://s3\.example\.com:9; set `endpoint`}
            )
          end
        end
      end
    end
  end

  describe "that has the object in an archive (Glacier)" do
    it "raises an ArchivedError" do
      refusing(->(_request) { { status: 403, answer: error("InvalidObjectState") } }) do |proxy|
        expect { client_of(proxy).download(key) }.to raise_error(EncryptedS3Service::ArchivedError, /restore it/) { |e|
          expect([e.code, e.status, e.store_code]).to eq(["archived", 403, "InvalidObjectState"])
        }
      end
    end
  end

  it "that answers 404 to an upload is not a missing file" do
    refusing(->(request) { { status: 404, answer: "<html>" } if request.verb == "PUT" }) do |proxy|
      expect { client_of(proxy).upload(key, StringIO.new("x")) }
        .to raise_error(EncryptedS3Service::StoreError, /`endpoint` and `bucket`/)
    end
    refusing(->(request) { { status: 404, answer: error("NoSuchUpload") } if request.part }) do |proxy|
      expect { client_of(proxy).upload(key, StringIO.new(random_bytes(17 * mebibyte))) }
        .to raise_error(EncryptedS3Service::StoreError) { |e| expect(e.code).to eq("upload-not-found") }
    end
  end

  # Ceph compares it, and its accounts have other names.
  it "gets the account that must own the bucket with every request", unless: ENV["S3_SERVER"] == "ceph" do
    FaultProxy.run(server.endpoint) do |proxy|
      upload = { expected_bucket_owner: "123456789012", multipart_threshold: 5 * mebibyte, part_size: 5 * mebibyte }
      rotation = { encryption_key: "n" * 32, encryption_key_id: "2026",
                   decryption_keys: { TestStore::KEY_ID => TestStore::KEY } }
      client = client_of(proxy, upload: upload)
      client.upload(key, StringIO.new(random_bytes(18 * mebibyte)))
      client.download(key)
      client_of(proxy, upload: upload, **rotation).rotate(key, largest_copy: 5 * mebibyte)
      client.upload(key, StringIO.new("small"))
      client_of(proxy, upload: upload, **rotation).rotate(key)
      client.exist?(key)
      client.delete_prefixed(key)
      client.delete(key)
      without = proxy.requests.reject { |request| request.headers["x-amz-expected-bucket-owner"] == "123456789012" }
      expect(without.map(&:operation)).to eq([])
      expect(proxy.requests.size).to be > 15
    end
  end

  ["storage/v1/s3", "storage/v1/s3/", "a%20b"].each do |path|
    it "that lives below a path, like Supabase, gets requests below #{path}" do
      lines = []
      HttpAnswers.run(->(line) { lines << line and nil }) do |address|
        ENV["AWS_ENDPOINT_URL_S3"] = "#{address}/#{path}"
        [new_client(endpoint: "#{address}/#{path}"), new_client(endpoint: nil)].each do |client|
          expect(client.exist?("a/b")).to be(false)
        end
      ensure
        ENV.delete("AWS_ENDPOINT_URL_S3")
      end
      expect(lines).to eq(["HEAD /#{path.chomp("/")}/#{bucket}/a/b HTTP/1.1"] * 2)
    end
  end

  it "that omits the size in its response to HEAD is asked by GET" do
    new_client.upload(key, StringIO.new("x" * 100))
    server.put(bucket, empty = unique_key, "", {})
    SizelessStore.run(server.endpoint) do |proxy|
      client = client_of(proxy)
      expect([client.exist?(key), client.size(key), client.exist?("#{key}2"), client.exist?(empty)])
        .to eq([true, 100, false, true])
      expect(client.metadata(empty).size).to eq(0)
    end
  end

  it "that always sends the whole object works for small ones, and is named as the reason for large ones" do
    new_client.upload(key, StringIO.new("x" * 100))
    new_client.upload(large = unique_key, StringIO.new(random_bytes(18 * mebibyte)))
    RangelessStore.run(server.endpoint) do |proxy|
      client = client_of(proxy)
      expect([client.download(key), client.download_chunk(key, 5..9)]).to eq(["x" * 100, "x" * 5])
      expect { client.download(large) }
        .to raise_error(EncryptedS3Service::StoreError, /\Aobject #{Regexp.quote(large.inspect)}: .*`Range` header/)
      expect { client.download_chunk(large, (17 * mebibyte)..) }
        .to raise_error(EncryptedS3Service::StoreError, /\Aobject #{Regexp.quote(large.inspect)}: .*`Range` header/)
    end
  end

  it "signs bodies over plain HTTP also if the environment names the endpoint" do
    FaultProxy.run(server.endpoint) do |proxy|
      ENV["AWS_ENDPOINT_URL_S3"] = proxy.endpoint
      new_client(endpoint: nil).upload(key, StringIO.new("x"))
      expect(proxy.requests.map { |request| request.headers["x-amz-content-sha256"] }).to all(match(/\A\h{64}\z/))
    ensure
      ENV.delete("AWS_ENDPOINT_URL_S3")
    end
  end
end
