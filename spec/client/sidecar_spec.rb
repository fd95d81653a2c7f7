# frozen_string_literal: true

require_relative "../support/fault_proxy"
require_relative "../support/segment_map"

# `<key>.segments`: the object beside a large one, which is never taken for a file.
RSpec.describe EncryptedS3Service::Client, "and the segment maps beside large objects" do
  let(:key) { unique_key }
  let(:sidecar) { "#{key}.segments" }
  # Objects of more than `memory_limit` bytes get a map.
  let(:limit) { TestStore::MEBIBYTE }
  let(:client) { new_client(memory_limit: limit) }
  let(:large) { random_bytes(limit + 70_000) }
  let(:log) { StringIO.new }

  around do |example|
    before = EncryptedS3Service.logger
    EncryptedS3Service.logger = Logger.new(log)
    example.run
  ensure
    EncryptedS3Service.logger = before
  end

  def upload(data, **) = client.upload(key, StringIO.new(data), **)

  def in_bucket = server.list(bucket, prefix: key[%r{\A[^/]+/}])

  def expect_right_map(of: key, wrapping_key: TestStore::KEY)
    expect(stored("#{of}.segments").last).to be_bytes(SegmentMap.of(*stored(of), wrapping_key))
  end

  describe "an upload" do
    { "V2" => {}, "V3" => { commitment_policy: "require_encrypt_allow_decrypt" } }.each do |format, policy|
      it "stores the map that docs/format.md specifies, of an object in #{format}" do
        result = new_client(memory_limit: limit, **policy).upload(key, StringIO.new(large))
        expect(result).to include(bytes: large.bytesize, indexed: true)
        expect_right_map
      end
    end

    it "stores the map of an object that is sent in parts" do
      parts = new_client(memory_limit: limit, upload: { multipart_threshold: 5 << 20, part_size: 5 << 20 })
      data = random_bytes((12 << 20) + 5)
      parts.upload(key, StringIO.new(data), checksum: md5(data))
      expect_right_map
    end

    it "stores the map of a file that Rust reads" do
      Tempfile.create do |file|
        file.binmode.write(large)
        file.rewind
        client.upload(key, file)
      end
      expect_right_map
    end

    it "of up to `memory_limit` bytes stores no map" do
      expect(upload(random_bytes(limit))).not_to include(:indexed)
      expect(in_bucket).to eq([key])
    end

    it "stores no map if `segment_index` is false" do
      new_client(memory_limit: limit, segment_index: false).upload(key, StringIO.new(large))
      expect(in_bucket).to eq([key])
    end

    it "that replaces an object replaces its map, and checks the object that it replaces" do
      upload(random_bytes(limit + 1))
      upload(large)
      expect_right_map
    end

    it "does not replace a file of the application under the map's key" do
      server.put(bucket, sidecar, "a file of the application", {})
      expect(upload(large)).to include(indexed: false)
      expect(log.string).to include("its segment map is not", "was not changed")
      expect(stored(sidecar).last).to eq("a file of the application")
      expect(client.download(key)).to be_bytes(large)
    end

    it "stores the map with the settings of the object" do
      settings = { cache_control: "private, max-age=9" }
      new_client(memory_limit: limit, upload: settings).upload(key, StringIO.new(large))
      expect(stored(sidecar).first["cache-control"]).to eq("private, max-age=9")
    end
  end

  it "stores maps that replace wrong ones with the settings of their objects" do
    client = new_client(memory_limit: limit, upload: { cache_control: "private, max-age=9" })
    client.upload(key, StringIO.new(large))
    wrong = stored(sidecar).last.tap { |map| map.setbyte(-1, map.getbyte(-1) ^ 1) }
    server.put(bucket, sidecar, wrong, {})
    expect(client.download(key)).to be_bytes(large)
    Timeout.timeout(20) { Thread.pass until stored(sidecar).last != wrong }
    expect(stored(sidecar).first["cache-control"]).to eq("private, max-age=9")
  end

  describe "an upload whose map cannot be stored" do
    it "succeeds, and reports that the map is missing" do
      FaultProxy.run(server.endpoint) do |proxy|
        proxy.fault("PutObject", status: 500)
        faulty = new_client(endpoint: proxy.endpoint, retry_limit: 0, memory_limit: limit,
                            upload: { multipart_threshold: 5 << 20, part_size: 5 << 20 })
        data = random_bytes(11 << 20)
        result = faulty.upload(key, StringIO.new(data))
        expect(result).to include(bytes: data.bytesize, indexed: false)
        expect(result[:index_error]).to be_a(EncryptedS3Service::TransportError)
        expect(proxy.requests("PutObject").size).to eq(1)
        expect(client.download(key)).to be_bytes(data)
      end
      expect(in_bucket).to eq([key])
      expect(log.string).to include(key.inspect, "encrypted_s3_service:index")
    end

    it "reports the stored object if it is interrupted there" do
      FaultProxy.run(server.endpoint) do |proxy|
        gate = proxy.hold("PutObject")
        slow = new_client(endpoint: proxy.endpoint, memory_limit: limit,
                          upload: { multipart_threshold: 5 << 20, part_size: 5 << 20 })
        thread = Thread.new { slow.upload(key, StringIO.new(random_bytes(6 << 20))) }
        gate.arrived
        thread.kill.join
        gate.open
      end
      expect(log.string).to include("the object is stored")
      expect(client.size(key)).to eq(6 << 20)
    end
  end

  describe "a store without conditional requests" do
    it "gets maps, and keeps the application's objects" do
      FaultProxy.run(server.endpoint) do |proxy|
        # The object is sent first, then the map with a condition.
        proxy.fault("PutObject", skip: 1, times: 1, status: 501)
        plain = new_client(endpoint: proxy.endpoint, retry_limit: 0, memory_limit: limit)
        expect(plain.upload(key, StringIO.new(large))).to include(indexed: true)
        expect_right_map
        server.put(bucket, "#{key}2.segments", "a file", {})
        expect(plain.upload("#{key}2", StringIO.new(large))).to include(indexed: false)
        conditions = proxy.requests("PutObject").filter_map { |request| request.headers["if-none-match"] }
        expect(conditions).to eq(["*"]), "it is asked for a condition once and not again"
      end
    end
  end

  describe "the key of a map" do
    it "is refused for an object, before anything is read or sent" do
      io = StringIO.new("data")
      [-> { client.upload("a.segments", io) }, -> { client.compose([key], "a.segments") },
       -> { client.reencrypt("a.segments") }].each do |call|
        expect(&call).to raise_error(ArgumentError, /"a\.segments".*segment maps of other objects/m)
      end
      expect(io.pos).to eq(0)
    end

    it "belongs to no object for every method" do
      upload(large)
      expect([client.exist?(key), client.exist?(sidecar)]).to eq([true, false])
      [-> { client.stat(sidecar) }, -> { client.size(sidecar) }, -> { client.download(sidecar) },
       -> { client.download_chunk(sidecar, 0..1) }, -> { client.reader(sidecar) }].each do |call|
        expect(&call).to raise_error(EncryptedS3Service::NotFoundError, /is the segment map of the object "#{key}"/)
      end
    end

    it "still belongs to an object that was stored there before there were maps" do
      upload("old")
      headers, body = stored(key)
      # Not bound to a key, like objects of that time.
      restore(sidecar, headers.reject { |name, _| name.end_with?("encrypted-s3-place") }, body)
      expect([client.exist?(sidecar), client.size(sidecar), client.download(sidecar)]).to eq([true, 3, "old"])
    end

    it "belongs to no object either if the map is missing, or is a file that is not encrypted" do
      server.put(bucket, sidecar, "ES3SEG", {})
      expect(client.exist?(sidecar)).to be(true)
      expect { client.download(sidecar) }.to raise_error(EncryptedS3Service::EnvelopeError)
      expect(client.exist?("#{key}3.segments")).to be(false)
    end
  end

  describe "a deletion" do
    it "deletes the map with the object, in one round" do
      upload(large)
      FaultProxy.run(server.endpoint) do |proxy|
        gate = proxy.hold("DeleteObject")
        deleting = Thread.new { new_client(endpoint: proxy.endpoint).delete(key) }
        # Both wait before either has an answer.
        2.times { gate.arrived }
        gate.open
        deleting.join
        expect(proxy.requests.size).to eq(2)
      end
      expect(in_bucket).to be_empty
    end

    it "of an object without a map, or of a missing one, is no error" do
      upload("small")
      2.times { expect(client.delete(key)).to be_nil }
      expect(in_bucket).to be_empty
    end

    it "by a client that stores no maps deletes the map too" do
      upload(large)
      new_client(segment_index: false).delete(key)
      expect(in_bucket).to be_empty
    end

    it "of a key that is too long for a map is no error" do
      long = key.ljust(1020, "/#{"k" * 200}")
      client.upload(long, StringIO.new("x"))
      client.delete(long)
      expect(client.exist?(long)).to be(false)
    end

    it "by a prefix deletes the maps of those objects, and no others" do
      other = "#{key}-not"
      [key, "#{key}/variant"].each { |name| client.upload(name, StringIO.new(large)) }
      client.upload(other, StringIO.new(large))
      client.delete_prefixed("#{key}/")
      expect(in_bucket).to match_array([key, sidecar, other, "#{other}.segments"])
      client.delete_prefixed(key)
      expect(in_bucket).to be_empty
    end

    it "deletes the instruction file too, if they are enabled" do
      upload(large)
      server.put(bucket, "#{key}.instruction", "{}", {})
      new_client(envelope_location: "instruction_file").delete(key)
      expect(in_bucket).to be_empty
    end

    it "under a prefix deletes the map under the prefix" do
      prefixed = new_client(prefix: key, memory_limit: limit)
      prefixed.upload("a", StringIO.new(large))
      expect(in_bucket).to match_array(["#{key}/a", "#{key}/a.segments"])
      prefixed.delete("a")
      expect(in_bucket).to be_empty
    end

    it "by a client whose key is destroyed deletes the map" do
      upload(large)
      EncryptedS3Service::KeylessClient.new("specs", **TestStore.settings).delete(key)
      expect(in_bucket).to be_empty
    end
  end

  describe "a composed object" do
    it "has a map of its own" do
      upload(large)
      client.upload("#{key}2", StringIO.new("and more"))
      client.compose([key, "#{key}2"], "#{key}3")
      expect_right_map(of: "#{key}3")
      expect_right_map
      expect(in_bucket).to match_array([key, sidecar, "#{key}2", "#{key}3", "#{key}3.segments"])
    end

    it "has a map if only its sources together are large" do
      2.times { |n| client.upload("#{key}#{n}", StringIO.new(random_bytes(limit))) }
      client.compose(["#{key}0", "#{key}1"], "#{key}3")
      expect_right_map(of: "#{key}3")
    end
  end

  describe "another wrapping key" do
    let(:new_key) { OpenSSL::Digest.digest("SHA256", "the next key") }
    let(:rotated) do
      new_client(encryption_key: new_key, encryption_key_id: "next", memory_limit: limit,
                 decryption_keys: { TestStore::KEY_ID => TestStore::KEY })
    end

    it "leaves the map unchanged, which stays valid" do
      upload(large)
      before = object_itself(sidecar)
      expect(rotated.rotate(key, verify: true).outcome).to eq(:rotated)
      expect(object_itself(sidecar)).to eq(before)
      expect_right_map(wrapping_key: new_key)
    end

    it "replaces the map if the object is encrypted again" do
      upload(large)
      before = stored(sidecar).last
      rotated.reencrypt(key)
      expect(stored(sidecar).last).not_to eq(before)
      expect_right_map(wrapping_key: new_key)
    end
  end

  it "that were renamed with their objects are valid under the new name" do
    upload(large)
    new = "#{key}-new"
    [["", new], [".segments", "#{new}.segments"]].each { |suffix, to| restore(to, *stored("#{key}#{suffix}")) }
    client.rebind(new, from: key)
    expect_right_map(of: new)
    expect(client.download(new)).to be_bytes(large)
  end

  it "cannot be given the suffix of instruction files" do
    expect { new_client(envelope_location: "instruction_file", instruction_file_suffix: ".segments") }
      .to raise_error(EncryptedS3Service::ConfigurationError, /instruction_file_suffix.*segment maps/)
  end
end
