# frozen_string_literal: true

require_relative "../support/aws_clients"

# Attacks by a person who writes to the bucket and reads it, but has no key: those published against encrypted stores
# (eprint 2024/1616; the client of Azure Storage, 2026). Attacks that cannot be noticed are here, too, so that the
# documents claim no more than is true.
RSpec.describe EncryptedS3Service::Client, "and a person who writes to the bucket" do
  let(:client) { new_client(**format, **large) }
  let(:format) { { commitment_policy: "require_encrypt_allow_decrypt", place_binding: "require" } }
  # Objects from this size on are read by the map beside them, or checked whole first.
  let(:large) { { memory_limit: TestStore::MEBIBYTE } }
  let(:key) { unique_key }
  let(:data) { random_bytes(3 * TestStore::MEBIBYTE) }
  let(:segment) { 65_536 }

  def refused(reader = client, name = key)
    given = []
    [-> { reader.download(name) }, -> { reader.download(name) { |chunk| given << chunk } },
     -> { reader.download_chunk(name, 0..9) }].each { |read| expect(&read).to raise_error(EncryptedS3Service::Error) }
    expect(given).to eq([])
  end

  # Reads everything in every way. Each read returns the stored bytes or raises an error, and never returns other bytes.
  def never_wrong(reader = client)
    [nil, 0..9, 60_000..70_000, 100_000...200_000, (3 * TestStore::MEBIBYTE) - 9..].each do |range|
      given = range ? reader.download_chunk(key, range) : reader.download(key)
      expect(given).to be_bytes(range ? data[range] : data)
    rescue EncryptedS3Service::Error
      next
    end
  end

  def replace(body, headers = stored(key).first) = restore(key, headers, body)

  def swapped(body, one, other, length)
    body.dup.tap do |copy|
      copy[one, length] = body[other, length]
      copy[other, length] = body[one, length]
    end
  end

  it "cannot make the client use a key of their own: no key comes from the bucket" do
    attacker = new_client(**format, encryption_key: "a" * 32, encryption_key_id: TestStore::KEY_ID)
    attacker.upload(key, StringIO.new("of the attacker"))
    refused
    client.upload(key, StringIO.new(data))
    expect(stored_plaintext(key)).to be_bytes(data)
  end

  it "cannot make an object look like one of an older, weaker format" do
    client.upload(key, StringIO.new(data))
    headers, body = stored(key)
    older = { "x-amz-meta-x-amz-key" => headers["x-amz-meta-x-amz-3"], "x-amz-meta-x-amz-iv" => ["i" * 16].pack("m0"),
              "x-amz-meta-x-amz-matdesc" => "{}" }
    restore(key, older, body)
    refused
    refused(new_client(security_profile: "v3_and_legacy"))
  end

  { "one bit" => ->(body, _) { body.tap { body.setbyte(70_000, body.getbyte(70_000) ^ 1) } },
    "two segments" => ->(body, size) { body[size, size] + body[0, size] + body[(2 * size)..] },
    "the end" => ->(body, size) { body[0...-size] }, "the beginning" => ->(body, size) { body[size..] },
    "a segment in the middle" => ->(body, size) { body[0, size] + body[(2 * size)..] },
    "a segment twice" => ->(body, size) { body[0, size] + body[0, size] + body[(2 * size)..] } }.each do |what, change|
      it "cannot change, remove or repeat a part of a file: #{what}" do
        client.upload(key, StringIO.new(data))
        replace(change.call(stored(key).last, segment))
        expect { client.download(key) }.to raise_error(EncryptedS3Service::IntegrityError)
        never_wrong
        # Also without the map beside it, which a person with access to the bucket can remove.
        server.delete(bucket, "#{key}.segments")
        never_wrong(new_client(**format, **large))
      end
    end

  it "cannot reorder the parts of a file together with its map" do
    client.upload(key, StringIO.new(data))
    status, headers, map = server.get(bucket, "#{key}.segments")
    skip "no map beside it" unless status == 200
    server.put(bucket, "#{key}.segments", swapped(map, 96, 112, 16), headers.slice("content-type"))
    replace(swapped(stored(key).last, 0, segment, segment))
    reader = new_client(**format, **large)
    expect { reader.download(key) }.to raise_error(EncryptedS3Service::IntegrityError)
    never_wrong(reader)
  end

  it "cannot replace, rename or copy a file" do
    client.upload(key, StringIO.new(data))
    client.upload(other = unique_key, StringIO.new("another"))
    restore(key, *stored(other))
    refused
    restore(copy = unique_key, *stored(other))
    refused(client, copy)
    expect(client.download(other)).to eq("another")
  end

  it "cannot influence the metadata or type of a file: those in the bucket are not read" do
    client.upload(key, StringIO.new(data))
    headers, body = stored(key)
    metadata = headers.select { |name, _| name.start_with?("x-amz-meta-") }
    false_ones = { "content-type" => "text/html", "content-disposition" => "inline", "cache-control" => "public",
                   "x-amz-meta-filename" => "evil.html", "x-amz-meta-x-amz-unencrypted-content-length" => "1" }
    server.put(bucket, key, body, { **metadata, **false_ones })
    expect([client.download(key), client.size(key)]).to eq([data, data.bytesize])
  end

  it "cannot write control characters into logs and terminals by an envelope" do
    client.upload(key, StringIO.new("text"))
    headers, body = stored(key)
    control = "\\u001b[2J\\n[FATAL] all is well\\u0007\\u202e"
    [{ "m" => %({"key_id":"#{control}"}), "3" => ["w" * 60].pack("m0") }, { "w" => control }, { "c" => control },
     { "i" => control }].each do |changes|
      restore(key, headers.merge(changes.transform_keys { |name| "x-amz-meta-x-amz-#{name}" }), body)
      expect { client.download(key) }.to raise_error(EncryptedS3Service::Error) { |error|
        expect(error.message).not_to match(/[^[:print:]]/)
      }
    end
  end

  it "cannot add a file that opens if the wrapping key is an AES key" do
    [["plain", {}], ["x" * 40, stored_headers_of("a")], ["", stored_headers_of("b")]].each do |body, headers|
      restore(name = unique_key, headers, body)
      refused(client, name)
    end
  end

  def stored_headers_of(text)
    client.upload(name = unique_key, StringIO.new(text))
    stored(name).first
  end

  it "can add a file that opens if they have the public half of an RSA wrapping key" do
    rsa = OpenSSL::PKey::RSA.new(2048)
    new_client(**format, encryption_key: rsa.public_to_pem, encryption_key_id: nil).upload(key, StringIO.new("planted"))
    expect(new_client(**format, encryption_key: rsa, encryption_key_id: nil).download(key)).to eq("planted")
  end

  it "can restore an older file of the same key, and delete files" do
    client.upload(key, StringIO.new("older"))
    older = stored(key)
    client.upload(key, StringIO.new("newer"))
    restore(key, *older)
    expect(client.download(key)).to eq("older")
    server.delete(bucket, key)
    expect { client.download(key) }.to raise_error(EncryptedS3Service::NotFoundError)
  end

  it "learns only the size of a file and the id of its key" do
    client.upload(key, StringIO.new("a" * 100_000))
    client.upload(same = unique_key, StringIO.new("a" * 100_000))
    (headers, body), (other_headers, other_body) = [key, same].map { |name| stored(name) }
    expect(body.bytesize).to eq(100_016)
    expect(body).not_to eq(other_body)
    shared = headers.select { |name, value| name.start_with?("x-amz-meta-") && other_headers[name] == value }
    expect(shared.keys).to contain_exactly("x-amz-meta-x-amz-c", "x-amz-meta-x-amz-m", "x-amz-meta-x-amz-w")
    expect(headers["content-type"]).to eq("application/octet-stream")
  end

  ["*", "?", "[a-z]", "{a,b}", "%", "_", "$(id)", "|", "^"].each do |pattern|
    it "cannot use a key as a pattern: #{pattern.inspect} deletes only keys with that prefix" do
      folder = unique_key("")
      names = ["#{folder}#{pattern}", "#{folder}#{pattern}tail"].each { |name| client.upload(name, StringIO.new("x")) }
      client.upload(bystander = "#{folder}bystander", StringIO.new("y"))
      client.delete_prefixed("#{folder}#{pattern}")
      expect(names.map { |name| client.exist?(name) }).to eq([false, false])
      expect(client.download(bystander)).to eq("y")
    end
  end

  # Swift refuses such keys.
  describe "a key with characters that XML does not allow", unless: ENV["S3_SERVER"] == "swift" do
    ["\u0001", "\u001F\u0008", "\uFFFE"].each do |characters|
      it "is deleted by its prefix, and the key shown in its place is not: #{characters.inspect}" do
        folder = unique_key("")
        names = ["#{folder}a#{characters}", "#{folder}a#{characters}/b"]
        names.each { |name| client.upload(name, StringIO.new("x")) }
        client.upload(bystander = "#{folder}a#{"\uFFFD" * characters.size}", StringIO.new("y"))
        client.delete_prefixed("#{folder}a#{characters}")
        expect(names.map { |name| client.exist?(name) }).to eq([false, false])
        expect(client.download(bystander)).to eq("y")
      end
    end
  end

  it "is deleted by its prefix if it has characters that URLs escape" do
    folder = unique_key("")
    names = ["a b", "a+b", "a%20b", "a%2Bb", "a&b", "ü", "a\tb", "\u{1F600}", "a%", "a%zz"].map { |name| folder + name }
    names.each { |name| client.upload(name, StringIO.new("x")) }
    client.delete_prefixed(folder)
    expect(names.select { |name| client.exist?(name) }).to eq([])
  end
end
