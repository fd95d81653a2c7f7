# frozen_string_literal: true

require "json"
require "open3"
require "rbconfig"
require "tmpdir"
require "yaml"
require_relative "../support/aws_clients"
require_relative "../support/segment_map"

# The command in a process of its own, without Rails.
RSpec.describe "The command encrypted_s3_service" do
  around do |example|
    Dir.mktmpdir { |folder| Dir.chdir(folder) { example.run } }
  end

  def key = @key ||= unique_key

  let(:encryption_key) { "base64:#{[TestStore::KEY].pack("m0")}" }
  let(:data) { random_bytes(300_000) }

  # The environment variables of Amazon's tools.
  def environment
    settings = TestStore.settings
    { "AWS_ACCESS_KEY_ID" => settings[:access_key_id], "AWS_SECRET_ACCESS_KEY" => settings[:secret_access_key],
      "AWS_REGION" => settings[:region], "ENCRYPTION_KEY" => encryption_key, "ENCRYPTION_KEY_PASSPHRASE" => nil }
  end

  # @return [Array(String, String, Integer)] what it printed, what it said on stderr, its exit status
  def run(*, env: {})
    output, errors, status = Open3.capture3(*command(*, env: env), binmode: true)
    [output, errors, status.exitstatus]
  end

  # @return [Array(String, Integer)] what it said on stderr, its exit status
  def run_into(output, *)
    errors = File.open("errors", "w+")
    _, status = Process.wait2(spawn(*command(*), out: output, err: errors))
    [errors.tap(&:rewind).read, status.exitstatus]
  ensure
    errors.close
  end

  def command(*, env: {})
    library = File.expand_path("../../lib", __dir__)
    program = File.expand_path("../../exe/encrypted_s3_service", __dir__)
    [{ **environment, **env }, RbConfig.ruby, "-rbundler/setup", "-I", library, program, *]
  end

  # @return [String] what it printed
  def succeed(*, **)
    output, errors, status = run(*, **)
    expect([errors, status]).to eq(["", 0])
    output
  end

  # @return [String] what it said
  def fail_with(status, *, **)
    output, errors, found = run(*, **)
    expect([found, output]).to eq([status, ""]), errors
    expect(errors).to start_with("encrypted_s3_service: ")
    expect(errors).not_to match(/\.rb:\d/)
    errors
  end

  def address = "s3://#{bucket}/#{key}"

  def connection = ["--endpoint", TestStore.settings[:endpoint], "--path-style"]

  # Downloads an object from the bucket as Amazon's tools do.
  def take_out(name = "body", metadata: "#{name}.metadata.json")
    object = AwsClients.plain.get_object(bucket: bucket, key: key, response_target: name)
    File.write(metadata, JSON.generate("ContentLength" => object.content_length, "Metadata" => object.metadata))
  end

  def aws_writes(body = data, client = AwsClients.v2(TestStore::KEY))
    client.put_object(bucket: bucket, key: key, body: body)
  end

  describe "decrypt" do
    it "gives what Amazon's client has encrypted, from the bucket and from a local file" do
      aws_writes
      expect(succeed("decrypt", address, *connection)).to be_bytes(data)
      take_out
      expect(succeed("decrypt", "body")).to be_bytes(data)
      succeed("decrypt", "body", "-o", "plain")
      expect(File.binread("plain")).to be_bytes(data)
    end

    it "takes metadata as plain names and values, with or without the prefix of the headers" do
      aws_writes
      take_out
      entries = JSON.parse(File.read("body.metadata.json"))["Metadata"]
      [entries, entries.transform_keys { |name| "X-Amz-Meta-#{name}" }].each do |form|
        File.write("form.json", JSON.generate(form))
        expect(succeed("decrypt", "body", "--metadata", "form.json")).to be_bytes(data)
      end
    end

    it "reads large files, in the formats with key commitment and with RSA, too" do
      rsa = OpenSSL::PKey::RSA.new(2048)
      File.write("key.pem", rsa.to_pem)
      new_client(encryption_key: rsa, commitment_policy: "require_encrypt_allow_decrypt")
        .upload(key, StringIO.new(large = random_bytes(40_000_000)))
      take_out
      succeed("decrypt", "body", "--key-file", "key.pem", "-o", "plain")
      expect(File.binread("plain")).to be_bytes(large)
    end

    it "reads legacy objects when it is told to, and those with an instruction file" do
      aws_writes(data, AwsClients.v1(TestStore::KEY))
      take_out
      expect(fail_with(1, "decrypt", "body")).to include("security_profile")
      expect(succeed("decrypt", "body", "--security-profile", "v2_and_legacy")).to be_bytes(data)

      aws_writes(data, AwsClients.v2(TestStore::KEY, envelope_location: :instruction_file))
      AwsClients.plain.get_object(bucket: bucket, key: key, response_target: "other")
      AwsClients.plain.get_object(bucket: bucket, key: "#{key}.instruction", response_target: "other.instruction")
      expect(succeed("decrypt", "other", "--instruction-file", "other.instruction")).to be_bytes(data)
    end

    it "tries further keys from files" do
      File.write("new.txt", "base64:#{["n" * 32].pack("m0")}\n")
      File.write("old.txt", "#{encryption_key}\n")
      aws_writes
      options = ["--key-file", "new.txt", "--key-file", "old.txt"]
      expect(succeed("decrypt", address, *connection, *options, env: { "ENCRYPTION_KEY" => nil })).to be_bytes(data)
    end

    it "reads files of an entry with a folder by their paths, and says so" do
      entry = { "service" => "EncryptedS3", "root" => File.join(Dir.pwd, "files"), "encryption_key" => encryption_key }
      File.write("storage.yml", YAML.dump("files" => entry))
      options = ["--config", "storage.yml", "--service", "files"]
      client = EncryptedS3Service::Client.new(root: "files", encryption_key: encryption_key)
      client.upload("contract", StringIO.new(data))
      record, = Dir["files/*/*/*.json"]
      body = File.join(File.dirname(record), JSON.parse(File.read(record))["Body"])
      expect(succeed("decrypt", body, "--metadata", record, *options)).to be_bytes(data)
      expect(fail_with(1, "decrypt", "s3://files/contract", *options))
        .to include("keeps its objects in a folder (root): give the path")
    end

    it "takes settings and key from an entry of a storage.yml that needs no Rails" do
      settings = TestStore.settings.transform_keys(&:to_s).merge("encryption_key" => "<%= ENV['THE_KEY'] %>")
      File.write("storage.yml", YAML.dump("files" => { "service" => "EncryptedS3", **settings }, "local" => {}))
      aws_writes
      env = { "AWS_ACCESS_KEY_ID" => nil, "AWS_SECRET_ACCESS_KEY" => nil, "ENCRYPTION_KEY" => nil,
              "THE_KEY" => encryption_key }
      options = ["--config", "storage.yml", "--service", "files"]
      expect(succeed("decrypt", address, *options, env: env)).to be_bytes(data)
      expect(fail_with(1, "decrypt", address, "--config", "storage.yml", "--service", "x")).to include("files, local")
      File.write("rails.yml", "files:\n  key: <%= Rails.application.credentials.secret %>\n")
      expect(fail_with(1, "decrypt", address, "--config", "rails.yml", "--service", "files"))
        .to include("only Rails has")
    end

    it "looks for the object in the folder of an entry that has a prefix" do
      settings = TestStore.settings.transform_keys(&:to_s).merge("encryption_key" => encryption_key)
      entries = { "all" => settings, "customer" => { **settings, "prefix" => "of/a customer" } }
      File.write("storage.yml", YAML.dump(entries.transform_values { |entry| { "service" => "EncryptedS3", **entry } }))
      new_client(prefix: "of/a customer").upload(key, StringIO.new(data))
      options = ["--config", "storage.yml", "--service"]
      expect(succeed("decrypt", address, *options, "customer")).to be_bytes(data)
      expect(succeed("decrypt", "s3://#{bucket}/of/a customer/#{key}", *options, "all")).to be_bytes(data)
      expect(fail_with(1, "decrypt", address, *options, "all")).to match(/no such object|not found/i)
      File.binwrite("plain", "another")
      succeed("encrypt", "plain", "-o", "s3://#{bucket}/#{key}-2", *options, "customer")
      expect(new_client(prefix: "of/a customer").download("#{key}-2")).to eq("another")
    end

    [300_000, 20_000_000].each do |size|
      it "gives not a byte of a changed object of #{size} bytes, and leaves no file" do
        aws_writes(random_bytes(size))
        take_out
        File.open("body", "r+b") { |file| [file.seek(size - 100), file.write("changed")] }
        expect(fail_with(1, "decrypt", "body")).to match(/authentication|tag|changed/i)
        fail_with(1, "decrypt", "body", "-o", "plain")
        expect(Dir.children(".")).to contain_exactly("body", "body.metadata.json")
      end
    end

    it "overwrites nothing unless it is told to, and shows neither key nor content when it fails" do
      aws_writes
      take_out
      File.write("plain", "mine")
      expect(fail_with(1, "decrypt", "body", "-o", "plain")).to include("plain is there already; --force")
      expect(File.read("plain")).to eq("mine")
      wrong = "base64:#{["w" * 32].pack("m0")}"
      errors = fail_with(1, "decrypt", "body", "-o", "plain", "--force", env: { "ENCRYPTION_KEY" => wrong })
      expect(errors).to match(/no configured key|does not open|unwrap/i)
      expect(errors).not_to include(wrong.delete_prefix("base64:"))
      expect(File.read("plain")).to eq("mine")
      succeed("decrypt", "body", "-o", "plain", "--force")
      expect(File.binread("plain")).to be_bytes(data)
    end

    it "says what is missing" do
      expect(fail_with(1, "decrypt", "nowhere")).to include("nowhere.metadata.json is missing")
      File.write("nowhere.metadata.json", "{}")
      expect(fail_with(1, "decrypt", "nowhere")).to include("No such file")
      expect(fail_with(1, "decrypt", address, *connection)).to include("there is no such object").and include(key)
      expect(fail_with(1, "decrypt", address, env: { "ENCRYPTION_KEY" => nil })).to include("there is no key")
    end

    # Ruby writes what is left of a short output when it ends, and ignores that this fails.
    it "fails when its output cannot be written, however short it is", if: File.exist?("/dev/full") do
      aws_writes("a few bytes")
      take_out
      [%w[decrypt body], %w[inspect body], %w[--help]].each do |arguments|
        expect(run_into("/dev/full", *arguments)).to match([/\Aencrypted_s3_service: No space left on device/, 1])
      end
      reading, writing = IO.pipe
      reading.close
      expect(run_into(writing, "decrypt", "body")).to eq(["encrypted_s3_service: the standard output was closed\n", 1])
    end

    it "reads metadata, settings and names in UTF-8 whatever the locale is" do
      client = AwsClients.v2(TestStore::KEY)
      client.put_object(bucket: bucket, key: "#{key}-é", body: data)
      env = { "LC_ALL" => "C", "LANG" => nil }
      expect(succeed("decrypt", "#{address}-é", *connection, env: env)).to be_bytes(data)
      @key = "#{key}-é"
      aws_writes
      take_out
      entries = JSON.parse(File.read("body.metadata.json"))["Metadata"]
      File.write("body.metadata.json", JSON.generate(entries.merge("title" => "été")))
      File.write("storage.yml", "# für alle\nfiles:\n  bucket: x\n  encryption_key: <%= ENV['ENCRYPTION_KEY'] %> # é\n")
      options = ["--config", "storage.yml", "--service", "files"]
      [[], options].each { |more| expect(succeed("decrypt", "body", *more, env: env)).to be_bytes(data) }
    end

    it "quotes nothing of a storage.yml whose Ruby is wrong" do
      ['<%= ENV["ENCRYPTION_KEY" %>', "<% if true %>", '<%= raise LoadError, "hush" %>'].each do |wrong|
        File.write("storage.yml", "files:\n  bucket: x\n  encryption_key: hush#{wrong}\n")
        said = fail_with(1, "decrypt", "body", "--config", "storage.yml", "--service", "files")
        expect(said).to match(/storage.yml cannot be evaluated: \w*Error/)
        expect(said).not_to include("hush")
      end
    end

    it "writes no plaintext to a terminal" do
      aws_writes
      take_out
      output = StringIO.new
      def output.tty? = true
      require "encrypted_s3_service/cli"
      status = EncryptedS3Service::CLI.new(%w[decrypt body], output: output, errors: errors = StringIO.new,
                                                             environment: environment).run
      expect([status, output.string]).to eq([1, ""])
      expect(errors.string).to include("--output FILE")
    end
  end

  describe "encrypt" do
    before { File.binwrite("plain", data) }

    it "writes an object into a bucket that Amazon's client opens" do
      succeed("encrypt", "plain", "-o", address, *connection, "--content-type", "text/x-test")
      opened = AwsClients.v2(TestStore::KEY).get_object(bucket: bucket, key: key)
      expect(opened.body.read).to be_bytes(data)
      expect(opened.content_type).to eq("text/x-test")
    end

    [0, 300_000, 40_000_000].each do |size|
      it "writes a local file of #{size} bytes with its metadata, which opens when it is put into a bucket" do
        File.binwrite("plain", plain = random_bytes(size))
        succeed("encrypt", "plain", "-o", "body")
        metadata = JSON.parse(File.read("body.metadata.json"))
        AwsClients.plain.put_object(bucket: bucket, key: key, metadata: metadata, body: File.binread("body"))
        expect(stored_plaintext(key)).to be_bytes(plain)
        expect(AwsClients.v2(TestStore::KEY).get_object(bucket: bucket, key: key).body.read).to be_bytes(plain)
        expect(succeed("decrypt", "body")).to be_bytes(plain)
      end
    end

    it "writes with key commitment and under an id as it is told" do
      succeed("encrypt", "plain", "-o", "body", "--commitment-policy", "require_encrypt_allow_decrypt",
              "--key-id", "of the archive")
      headers = JSON.parse(File.read("body.metadata.json")).transform_keys { |name| "x-amz-meta-#{name}" }
      expect(EnvelopeDecryptor.decrypt(headers, File.binread("body"), TestStore::KEY)).to be_bytes(data)
      expect(succeed("inspect", "body")).to match(/^format: +V3/).and match(/^key id: +of the archive$/)
    end

    it "overwrites neither object nor file unless it is told to" do
      succeed("encrypt", "plain", "-o", address, *connection)
      before = stored(key).last
      expect(fail_with(1, "encrypt", "plain", "-o", address, *connection)).to include("is there already; --force")
      expect(stored(key).last).to be_bytes(before)
      succeed("encrypt", "plain", "-o", address, *connection, "--force")
      expect(stored(key).last == before).to be(false)

      File.write("body.metadata.json", "mine")
      expect(fail_with(1, "encrypt", "plain", "-o", "body")).to include("body.metadata.json is there already")
      expect([File.exist?("body"), File.read("body.metadata.json")]).to eq([false, "mine"])
    end

    it "refuses what is no file" do
      expect(fail_with(1, "encrypt", "nothing", "-o", "body")).to include("No such file")
      expect(fail_with(1, "encrypt", ".", "-o", "body")).to match(/no file|directory/i)
      expect(Dir.children(".")).to eq(["plain"])
    end
  end

  describe "inspect" do
    it "says how an object is encrypted, without a key and without showing one" do
      new_client.upload(key, StringIO.new(data))
      take_out
      env = { "ENCRYPTION_KEY" => nil }
      outputs = [succeed("inspect", address, *connection, env: env), succeed("inspect", "body", env: env)]
      wrapped = JSON.parse(File.read("body.metadata.json"))["Metadata"].fetch("x-amz-key-v2")
      outputs.each do |output|
        expect(output).to match(/^format: +V2/).and match(%r{^content: +AES/GCM/NoPadding \(AES-256\)$})
        expect(output).to match(%r{^key wrapping: +AES/GCM$}).and match(/^key id: +#{TestStore::KEY_ID}$/)
        expect(output).to match(/^place: +bound to the key/)
        expect(output).to match(/^stored: +300016 bytes$/).and match(/^plaintext: +300000 bytes$/)
        expect(output).not_to include(wrapped)
      end
    end

    it "tells legacy objects, and those that are not encrypted" do
      aws_writes(data, AwsClients.v1(TestStore::KEY))
      expect(succeed("inspect", address, *connection))
        .to match(/^format: +V1 \(legacy/).and match(/^plaintext: +300000 bytes, as its writer noted$/)
        .and match(/^place: +not bound/)
      AwsClients.plain.put_object(bucket: bucket, key: key, body: "plain")
      expect(fail_with(1, "inspect", address, *connection)).to include("holds no envelope")
    end

    it "prints nothing that a terminal would obey" do
      File.write("body", "x" * 20)
      File.write("body.metadata.json", JSON.generate("x-amz-key-v2" => "k", "x-amz-cek-alg" => "\e]0;title\a",
                                                     "x-amz-matdesc" => "{\"key_id\":\"\\u001b[31m\"}"))
      expect(succeed("inspect", "body")).not_to match(/[\e\a]/)
    end
  end

  describe "and segment maps" do
    let(:large) { random_bytes(17 << 20) }

    it "stores the one of a large object that Amazon's client has written" do
      aws_writes(large)
      expect(succeed("inspect", address, *connection)).to match(/^segment map: +none$/)
      2.times do |run|
        output, errors, status = run("index", address, *connection)
        expect([output, status]).to eq(["", 0])
        expect(errors).to end_with("#{run.zero? ? "has a segment map now" : "had a segment map already"}\n")
      end
      expect(stored("#{key}.segments").last).to be_bytes(SegmentMap.of(*stored(key), TestStore::KEY))
      expect(succeed("inspect", address, *connection)).to match(/^segment map: +#{address}\.segments$/)
    end

    it "says that a small object needs none" do
      aws_writes
      expect(run("index", address, *connection)[1]).to end_with("is too small for a segment map; it is read whole\n")
      expect(server.list(bucket, prefix: key)).to eq([key])
    end

    it "stores none of an object that was changed" do
      aws_writes(large)
      headers, body = stored(key)
      restore(key, headers, body.tap { |bytes| bytes.setbyte(9, bytes.getbyte(9) ^ 1) })
      fail_with(1, "index", address, *connection)
      expect(server.list(bucket, prefix: key)).to eq([key])
    end

    it "knows one when it sees one, and reads and writes none" do
      new_client.upload(key, StringIO.new(large))
      expect(succeed("inspect", "#{address}.segments", *connection))
        .to eq("#{address}.segments is no encrypted object: it is the segment map of #{address}.\n")
      expect(fail_with(1, "decrypt", "#{address}.segments", *connection)).to include("segment map of the object")
      File.write("plain", "text")
      expect(fail_with(1, "encrypt", "plain", "-o", "s3://#{bucket}/new.segments", *connection))
        .to include("segment maps of other objects")
    end

    it "indexes objects in buckets, and writes no file" do
      fail_with(2, "index", "body")
      fail_with(2, "index", address, "-o", "x")
    end
  end

  describe "and an object that was renamed" do
    let(:former) { unique_key }

    before do
      new_client.upload(former, StringIO.new(data))
      AwsClients.plain.copy_object(bucket: bucket, copy_source: "#{bucket}/#{former}", key: key)
    end

    it "decrypt says what to do, and rebind does it" do
      message = fail_with(1, "decrypt", address, *connection)
      expect(message).to include("was not written under this key", "rebind #{address} --from OLD-KEY")
      _, said, status = run("rebind", address, "--from", former, *connection)
      expect([said, status]).to eq(["encrypted_s3_service: #{address} is bound to its key\n", 0])
      expect(succeed("decrypt", address, *connection)).to be_bytes(data)
      _, said, = run("rebind", address, "--from", former, *connection)
      expect(said).to include("was bound to its key already")
    end

    it "rebind refuses a key under which it was not written" do
      message = fail_with(1, "rebind", address, "--from", unique_key, *connection)
      expect(message).to include("neither under this key nor under")
      expect(message).not_to include("OLD-KEY")
      expect(fail_with(1, "decrypt", address, *connection)).to include("was not written under this key")
    end

    it "rebind is told where the object is and where it was" do
      expect(fail_with(2, "rebind", address)).to include("--from KEY")
      expect(fail_with(2, "rebind", "body", "--from", former)).to include("s3://BUCKET/KEY")
      expect(fail_with(2, "rebind", address, "--from", address)).to include("the key alone")
      expect(fail_with(2, "decrypt", address, "--from", former)).to include("--from belongs to rebind")
    end

    it "decrypt reads it when the place is not to be looked at, and refuses one that is bound to none on demand" do
      expect(succeed("decrypt", address, *connection, "--place-binding", "off")).to be_bytes(data)
      aws_writes
      expect(fail_with(1, "decrypt", address, *connection, "--place-binding", "require"))
        .to include("encrypted-s3-place")
    end
  end

  describe "and the place of a local object" do
    before { File.binwrite("plain", data) }

    it "is checked when it is said: a file does not know its key" do
      new_client.upload(key, StringIO.new(data))
      take_out
      expect(succeed("decrypt", "body")).to be_bytes(data)
      expect(succeed("decrypt", "body", "--object-key", key)).to be_bytes(data)
      expect(fail_with(1, "decrypt", "body", "--object-key", "another"))
        .to include("was not written under this key", "Without --object-key")
    end

    it "is written when it is said, so that the object can be put there and be read where that is required" do
      succeed("encrypt", "plain", "-o", "body", "--object-key", key)
      metadata = JSON.parse(File.read("body.metadata.json"))
      AwsClients.plain.put_object(bucket: bucket, key: key, body: File.binread("body"), metadata: metadata)
      expect(new_client(place_binding: "require").download(key)).to be_bytes(data)
      succeed("encrypt", "plain", "-o", "free")
      expect(JSON.parse(File.read("free.metadata.json"))).not_to include("encrypted-s3-place")
    end
  end

  describe "usage" do
    it "is explained by --help" do
      output = succeed("--help")
      %w[inspect decrypt encrypt rebind --output --key-file ENCRYPTION_KEY --config].each do |word|
        expect(output).to include(word)
      end
      expect(succeed("--version").chomp).to eq(EncryptedS3Service::VERSION)
    end

    it "has no option for a key, and is refused with status 2 when it is wrong" do
      wrong = {
        [] => /no action is given/, %w[shred x] => /no "shred"/, %w[decrypt] => /its argument is missing/,
        %w[encrypt x] => /say where to/, %w[decrypt x y] => /too many/, %w[inspect s3://bucket] => %r{s3://BUCKET/KEY},
        %w[decrypt x --key k] => /ambiguous|invalid option/, %w[decrypt x --config y] => /belong together/,
        %w[decrypt x --place-binding require] => /--place-binding needs --object-key/,
        %w[decrypt s3://a/b --object-key c] => %r{--object-key belongs to local objects. s3://a/b is in a bucket},
        %w[inspect s3://a/b --metadata c] => /--metadata belongs to local/,
        %w[encrypt x -o y --content-type text/x] => /--content-type belongs to objects in buckets/,
        %w[decrypt x --signature y] => /belong to verify-report/,
        %w[decrypt x -o s3://a/b] => /local files only/, %w[encrypt s3://a/b -o x] => /local files only/
      }
      wrong.each do |arguments, message|
        expect(fail_with(2, *arguments)).to match(message).and include("--help")
      end
    end
  end
end
