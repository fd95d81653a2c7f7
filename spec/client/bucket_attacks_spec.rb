# frozen_string_literal: true

require "delegate"

# A person who can write to the bucket attacks it in any way. A client still reads the stored bytes, or raises the error
# that names the problem: docs/format.md, 5.1, attack by attack, over the real server.
#
# BUCKET_ATTACKS is the number of cases of each attack, 9 by default, with random sizes, places and corruptions.
# The long form has 10,000, and takes some half an hour on a server in memory:
#
#   BUCKET_ATTACKS=10000 script/with-memory-server script/env bundle exec rspec spec/client/bucket_attacks_spec.rb
#
# A failure names its seed; SEED_OF_ATTACKS repeats it.
RSpec.describe EncryptedS3Service::Client, "before somebody who writes to the bucket" do
  # A stored object: the headers of its envelope, its body and its map.
  stored_object = Struct.new(:headers, :body, :sidecar) do
    def with(**changes) = dup.tap { |copy| changes.each { |name, value| copy[name] = value } }
  end
  # The objects of one writer in one format: one under a key, an older one under it, and one under another key.
  fixture = Struct.new(:key, :texts, :now, :older, :other)
  # The state of the bucket after an attack, the required result, and the changed bytes of the text.
  done = Struct.new(:object, :verdict, :touched, :key)

  segment = 65_536
  header = 96
  # Less than the setting allows, so that an object of three segments is a large one.
  limit = 2 * segment
  # Cases whose objects are in the bucket before they are deleted together.
  batch = 200
  changed = [EncryptedS3Service::TamperedError, "auth"]
  misplaced = [EncryptedS3Service::TamperedError, "misplaced"]

  flip = ->(bytes, at, bit) { bytes.dup.tap { |copy| copy.setbyte(at, copy.getbyte(at) ^ (1 << bit)) } }
  swap = lambda do |bytes, length, a, b|
    bytes.dup.tap do |copy|
      copy[a, length] = bytes[b, length]
      copy[b, length] = bytes[a, length]
    end
  end
  segments_of = ->(object) { (object.body.bytesize - 16) / segment }
  # A part of a text that was changed, at a whole segment.
  touched = ->(number) { (number * segment)...((number + 1) * segment) }
  exchange = lambda do |f, r, with_tags|
    a, b = [*0...segments_of[f.now]].sample(2, random: r)
    map = with_tags ? swap[f.now.sidecar, 16, header + (a * 16), header + (b * 16)] : f.now.sidecar
    done.new(f.now.with(body: swap[f.now.body, segment, a * segment, b * segment], sidecar: map), [changed], touched[a])
  end
  mapped = ->(f, map) { done.new(f.now.with(sidecar: map), :right) }

  attacks = {
    "nothing" => ->(f, _) { done.new(f.now, :right) },
    "a bit of the text is flipped" => lambda { |f, r|
      at = r.rand(f.now.body.bytesize - 16)
      done.new(f.now.with(body: flip[f.now.body, at, r.rand(8)]), [changed], at...(at + 1))
    },
    "a bit of the tag is flipped" => lambda { |f, r|
      done.new(f.now.with(body: flip[f.now.body, f.now.body.bytesize - 1 - r.rand(16), r.rand(8)]), [changed])
    },
    "the body is cut" => lambda { |f, r|
      done.new(f.now.with(body: f.now.body[0, r.rand(f.now.body.bytesize)]), :resized)
    },
    "the body is cut at a segment, with its map" => lambda { |f, r|
      kept = r.rand(1...segments_of[f.now])
      length = [kept * segment].pack("Q>")
      map = f.now.sidecar[0, header + (16 * kept)].tap { |bytes| bytes[48, 8] = length }
      done.new(f.now.with(body: f.now.body[0, kept * segment] + f.now.body[-16, 16], sidecar: map), :resized)
    },
    "the body is extended" => lambda { |f, r|
      done.new(f.now.with(body: f.now.body + r.bytes(r.rand(1..100_000))), :resized)
    },
    "segments are exchanged" => ->(f, r) { exchange[f, r, false] },
    "segments are exchanged with their tags" => ->(f, r) { exchange[f, r, true] },
    "a segment of another object is put in with its tag" => lambda { |f, r|
      number = r.rand([segments_of[f.now], segments_of[f.other]].min)
      body = f.now.body.dup.tap { |bytes| bytes[number * segment, segment] = f.other.body[number * segment, segment] }
      map = f.now.sidecar.dup.tap do |bytes|
        bytes[header + (number * 16), 16] = f.other.sidecar[header + (number * 16), 16]
      end
      done.new(f.now.with(body: body, sidecar: map), [changed], touched[number])
    },
    "a bit of the map is flipped" => lambda { |f, r|
      mapped[f, flip[f.now.sidecar, r.rand(f.now.sidecar.bytesize), r.rand(8)]]
    },
    "the map claims any length" => ->(f, r) { mapped[f, f.now.sidecar.dup.tap { |bytes| bytes[48, 8] = r.bytes(8) }] },
    "the map is cut" => ->(f, r) { mapped[f, f.now.sidecar[0, r.rand(f.now.sidecar.bytesize)]] },
    "the map is extended" => ->(f, r) { mapped[f, f.now.sidecar + r.bytes(r.rand(1..100))] },
    "tags of the map are exchanged" => lambda { |f, r|
      a, b = [*0...segments_of[f.now]].sample(2, random: r).map { |number| header + (number * 16) }
      mapped[f, swap[f.now.sidecar, 16, a, b]]
    },
    "the map of another object is put there" => ->(f, _) { mapped[f, f.other.sidecar] },
    "the map of an older object is put there" => ->(f, _) { mapped[f, f.older.sidecar] },
    "the map is taken away" => ->(f, _) { mapped[f, nil] },
    "anything is planted as the map" => ->(f, r) { mapped[f, ["", "ES3SEGMT\x01".b].sample(random: r) + r.bytes(200)] },
    "a huge map is planted" => ->(f, r) { mapped[f, f.now.sidecar + ("\x55".b * r.rand(1..2_000_000))] },
    "another object is put in its place with its map" => ->(f, _) { done.new(f.other, [misplaced]) },
    "the nonce or message id is that of another object" => lambda { |f, _|
      id = %w[x-amz-meta-x-amz-iv x-amz-meta-x-amz-i]
      headers = f.now.headers.merge(f.other.headers.slice(*id).slice(*f.now.headers.keys))
      done.new(f.now.with(headers: headers), [changed, [EncryptedS3Service::TamperedError, "commitment"]], 0..)
    },
    "the object is renamed with its map" => ->(f, _) { done.new(f.now, [misplaced], nil, "#{f.key}-renamed") },
    "an older object is played back with its map" => ->(f, _) { done.new(f.older, :older) },
    "an older object is played back beside the newer map" => lambda { |f, _|
      done.new(f.older.with(sidecar: f.now.sidecar), :older)
    }
  }

  cases = Integer(ENV.fetch("BUCKET_ATTACKS", 9))

  # A client that reads objects of more than `limit` bytes by their maps.
  new_reader = lambda do |**settings|
    configuration = EncryptedS3Service::Configuration.new(**TestStore.settings(**settings))
    small = SimpleDelegator.new(configuration)
    small.define_singleton_method(:to_native) do |**options|
      configuration.to_native(**options).merge(memory_limit: limit)
    end
    EncryptedS3Service::Client.new(small)
  end

  before(:context) do
    helper = Object.new.extend(TestStore::Helpers)
    @fixtures = %w[forbid_encrypt_allow_decrypt require_encrypt_allow_decrypt].map do |policy|
      client = new_reader.call(commitment_policy: policy)
      key = helper.unique_key
      store = lambda do |name, seed|
        text = helper.random_bytes(limit + 1 + Random.rand(300_000), seed)
        client.upload(name, StringIO.new(text))
        object = stored_object.new(*helper.stored(name), helper.stored("#{name}.segments").last)
        [text, object]
      end
      (older_text, older) = store[key, 1]
      (text, now) = store[key, 2]
      (_, other) = store["#{key}-other", 3]
      fixture.new(key, { right: text, older: older_text }, now, older, other)
    end
    @in_place = new_reader.call
    @anywhere = new_reader.call(place_binding: "off")
    @there = {}
  end

  # Readers report every bad map.
  around do |example|
    before = EncryptedS3Service.logger
    EncryptedS3Service.logger = Logger.new(nil)
    example.run
  ensure
    EncryptedS3Service.logger = before
  end

  # Stores missing objects.
  def arrange(key, object)
    unless @there[key].equal?(object.body) && @there["#{key} headers"] == object.headers
      restore(key, object.headers, object.body)
    end
    # A reader may have replaced a bad map, so a map is always put.
    object.sidecar ? put_map(key, object.sidecar) : server.delete(bucket, "#{key}.segments")
    @there.update(key => object.body, "#{key} headers" => object.headers)
  end

  def put_map(key, map) = server.put(bucket, "#{key}.segments", map, {})

  def read_part(client, key, part, random)
    return client.download_chunk(key, part) if random.rand < 0.5

    reader = client.reader(key)
    reader.skip(part.begin)
    bytes = +"".b
    while bytes.bytesize < part.size && (more = reader.read(part.size - bytes.bytesize))
      bytes << more
    end
    bytes
  ensure
    reader&.close
  end

  # @return [Array(String, Array)] the returned bytes, and the error's class and code
  def outcome
    bytes = +"".b
    yield bytes
    [bytes, nil]
  rescue EncryptedS3Service::Error => e
    [bytes, [e.class, e.code]]
  end

  def judge(verdict, text, seen, bytes, is_touched)
    case verdict
    when :right, :older
      expect(seen).to be_nil, "the object is whole, but #{seen.inspect}"
      expect(bytes).to be_bytes(text)
    when :resized
      errors = [EncryptedS3Service::IntegrityError, EncryptedS3Service::InvalidRangeError]
      allowed = seen && errors.any? { |error| seen.first <= error }
      expect(allowed).to be_truthy, seen.inspect
    else
      expect(verdict).to include(seen) if seen
    end
    expect(seen).not_to be_nil, "a part that was changed was read" if is_touched || verdict == :resized
    # Not one byte that was not stored, whatever follows.
    expect(bytes).to be_bytes(text.byteslice(0, bytes.bytesize))
  end

  # Under a new key, for which no reader of this process has a map yet. There an object is read without a check of the
  # key under which it was written.
  def anywhere(attacked, key)
    restore(key, attacked.object.headers, attacked.object.body)
    put_map(key, attacked.object.sidecar) if attacked.object.sidecar
    yield key, @anywhere
  end

  def in_place(chosen, attacked)
    key = attacked.key || chosen.key
    arrange(key, attacked.object)
    yield key, @in_place
  end

  # Reads a part and then all of it.
  def try_out(chosen, attacked, random, key, client)
    text = chosen.texts.fetch(attacked.verdict == :older ? :older : :right)
    from, to = Array.new(2) { random.rand(text.bytesize) }.minmax
    part = from..[to, from + random.rand(200_000)].min
    refused = attacked.verdict.is_a?(Array) && attacked.verdict.first.last == "misplaced"
    bytes, error = outcome { |all| all << read_part(client, key, part, random) }
    judge(attacked.verdict, text.byteslice(part), error, bytes, refused || touches?(attacked.touched, part))
    bytes, error = outcome { |all| client.download(key) { |chunk| all << chunk } }
    judge(attacked.verdict, text, error, bytes, refused || !attacked.touched.nil?)
  end

  def touches?(touched, part)
    !touched.nil? && touched.begin <= part.end && (touched.end.nil? || part.begin < touched.end)
  end

  attacks.each do |name, attack|
    it "returns no wrong byte after this attack: #{name}", patience: 120 + cases do
      first = Integer(ENV.fetch("SEED_OF_ATTACKS", Random.rand(1 << 40)))
      place = unique_key("of-attacks")
      cases.times do |number|
        random = Random.new(first + number)
        chosen = @fixtures.sample(random: random)
        attacked = attack[chosen, random]
        reading = ->(key, client) { try_out(chosen, attacked, random, key, client) }
        in_its_place = attacked.verdict == [misplaced] || random.rand < 0.3
        in_its_place ? in_place(chosen, attacked, &reading) : anywhere(attacked, "#{place}/#{number}", &reading)
        @anywhere.delete_prefixed(place) if ((number + 1) % batch).zero? || number + 1 == cases
      rescue RSpec::Expectations::ExpectationNotMetError => e
        raise e, "#{e.message}\nSEED_OF_ATTACKS=#{first + number}"
      end
      RSpec.configuration.reporter.message("#{cases} cases from SEED_OF_ATTACKS=#{first}: #{name}") if cases > batch
    end
  end
end
