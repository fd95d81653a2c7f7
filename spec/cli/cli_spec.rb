# frozen_string_literal: true

require "yaml"
require_relative "../support/command"

RSpec.describe "The command encrypted_s3_service" do
  include_context "with the command"

  describe "decrypt" do
    it "reads objects of Amazon's client from the bucket and from a local file" do
      aws_writes
      expect(succeed("decrypt", address, *connection)).to be_bytes(data)
      take_out
      expect(succeed("decrypt", "body")).to be_bytes(data)
      succeed("decrypt", "body", "-o", "plain")
      expect(File.binread("plain")).to be_bytes(data)
    end

    it "accepts metadata as plain names and values, with or without the prefix of the headers" do
      aws_writes
      take_out
      entries = JSON.parse(File.read("body.metadata.json"))["Metadata"]
      [entries, entries.transform_keys { |name| "X-Amz-Meta-#{name}" }].each do |form|
        File.write("form.json", JSON.generate(form))
        expect(succeed("decrypt", "body", "--metadata", "form.json")).to be_bytes(data)
      end
    end

    it "reads large files, also in the formats with key commitment and with RSA" do
      rsa = OpenSSL::PKey::RSA.new(2048)
      File.write("key.pem", rsa.to_pem)
      new_client(encryption_key: rsa, commitment_policy: "require_encrypt_allow_decrypt")
        .upload(key, StringIO.new(large = random_bytes(40_000_000)))
      take_out
      succeed("decrypt", "body", "--key-file", "key.pem", "-o", "plain")
      expect(File.binread("plain")).to be_bytes(large)
    end

    it "reads legacy objects with the option for that, and those with an instruction file" do
      aws_writes(data, AwsClients.v1(TestStore::KEY))
      take_out
      expect(fail_with(1, "decrypt", "body")).to include("security_profile")
      expect(succeed("decrypt", "body", "--security-profile", "v2_and_legacy")).to be_bytes(data)

      aws_writes(data, AwsClients.v2(TestStore::KEY, envelope_location: :instruction_file))
      AwsClients.plain.get_object(bucket: bucket, key: key, response_target: "other")
      AwsClients.plain.get_object(bucket: bucket, key: "#{key}.instruction", response_target: "other.instruction")
      expect(succeed("decrypt", "other", "--instruction-file", "other.instruction")).to be_bytes(data)
    end

    it "accepts further keys from files" do
      File.write("new.txt", "base64:#{["n" * 32].pack("m0")}\n")
      File.write("old.txt", "#{encryption_key}\n")
      aws_writes
      options = ["--key-file", "new.txt", "--key-file", "old.txt"]
      expect(succeed("decrypt", address, *connection, *options, env: { "ENCRYPTION_KEY" => nil })).to be_bytes(data)
    end

    it "reads files of an entry with a folder by their paths, and suggests that" do
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

    it "reads settings and key from an entry of a storage.yml that needs no Rails" do
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

    it "uses the prefix of an entry" do
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
      it "writes no byte of a changed object of #{size} bytes, and leaves no file" do
        aws_writes(random_bytes(size))
        take_out
        File.open("body", "r+b") { |file| [file.seek(size - 100), file.write("changed")] }
        expect(fail_with(1, "decrypt", "body")).to match(/authentication|tag|changed/i)
        fail_with(1, "decrypt", "body", "-o", "plain")
        expect(Dir.children(".")).to contain_exactly("body", "body.metadata.json")
      end
    end

    it "overwrites nothing without --force, and shows neither key nor content when it fails" do
      aws_writes
      take_out
      File.write("plain", "mine")
      expect(fail_with(1, "decrypt", "body", "-o", "plain")).to include("plain already exists; --force")
      expect(File.read("plain")).to eq("mine")
      wrong = "base64:#{["w" * 32].pack("m0")}"
      errors = fail_with(1, "decrypt", "body", "-o", "plain", "--force", env: { "ENCRYPTION_KEY" => wrong })
      expect(errors).to match(/no configured key|does not open|unwrap/i)
      expect(errors).not_to include(wrong.delete_prefix("base64:"))
      expect(File.read("plain")).to eq("mine")
      succeed("decrypt", "body", "-o", "plain", "--force")
      expect(File.binread("plain")).to be_bytes(data)
    end

    it "replaces no device, pipe or folder, with --force either" do
      aws_writes
      take_out
      File.mkfifo("pipe")
      File.symlink("/dev/null", "null")
      Dir.mkdir("folder")
      %w[pipe null folder].each do |name|
        expect(fail_with(1, "decrypt", "body", "-o", name, "--force")).to include("#{name} is not an ordinary file")
      end
      expect(fail_with(1, "decrypt", "body", "-o", "")).to include("the name of the file to write is empty")
      expect([File.pipe?("pipe"), File.symlink?("null"), Dir.empty?("folder")]).to all(be(true))
    end

    it "writes files with names as long as the file system allows" do
      aws_writes
      take_out
      name = "文" * 85
      succeed("decrypt", "body", "-o", name)
      expect(File.binread(name)).to be_bytes(data)
    end

    it "names missing arguments" do
      expect(fail_with(1, "decrypt", "nowhere")).to include("nowhere.metadata.json is missing")
      File.write("nowhere.metadata.json", "{}")
      expect(fail_with(1, "decrypt", "nowhere")).to include("No such file")
      expect(fail_with(1, "decrypt", address, *connection)).to include("there is no such object").and include(key)
      expect(fail_with(1, "decrypt", address, env: { "ENCRYPTION_KEY" => nil })).to include("there is no key")
    end

    # Ruby writes the rest of a short output when it exits, and ignores errors of this write.
    it "fails if its output cannot be written, however short it is", if: File.exist?("/dev/full") do
      aws_writes("a few bytes")
      take_out
      [%w[decrypt body], %w[inspect body], %w[--help]].each do |arguments|
        expect(run_into("/dev/full", *arguments)).to match([/\Aencrypted_s3_service: No space left on device/, 1])
      end
      reading, writing = IO.pipe
      reading.close
      expect(run_into(writing, "decrypt", "body")).to eq(["encrypted_s3_service: the standard output was closed\n", 1])
    end

    it "reads metadata, settings and names in UTF-8 in any locale" do
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

    # Names of files are bytes on Linux. Other systems refuse these.
    it "takes files with names of any bytes, and the object's key only in UTF-8", if: RUBY_PLATFORM.include?("linux") do
      name = "caf\xE9"
      File.binwrite(name, data)
      ["C", "C.UTF-8"].each do |locale|
        env = { "LC_ALL" => locale, "LANG" => nil }
        succeed("encrypt", name, "-o", "#{name}.enc", "--object-key", "café", "--force", env: env)
        decrypt = ["decrypt", "#{name}.enc", "-o", "#{name}.dec", "--force", "--object-key"]
        succeed(*decrypt, "café", env: env)
        expect(File.binread("#{name}.dec")).to be_bytes(data)
        expect(fail_with(1, *decrypt, "cafe", env: env)).to include("cafe")
        expect(fail_with(2, *decrypt, name, env: env)).to include("--object-key must be valid UTF-8")
        expect(fail_with(1, "decrypt", "s3://files/#{name}", env: env)).to include("A key must be valid UTF-8")
      end
    end

    it "writes bytes as they are, whatever RUBYOPT says of encodings" do
      aws_writes
      take_out
      ["-E UTF-8:UTF-8", "-E ISO-8859-1:UTF-8"].each do |option|
        succeed("decrypt", "body", "-o", "plain", "--force", env: { "RUBYOPT" => option })
        expect(File.binread("plain")).to be_bytes(data)
        expect(succeed("decrypt", "body", env: { "RUBYOPT" => option })).to be_bytes(data)
      end
    end

    it "quotes nothing of a storage.yml with a Ruby error" do
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

    it "writes an object into a bucket, which Amazon's client opens" do
      succeed("encrypt", "plain", "-o", address, *connection, "--content-type", "text/x-test")
      opened = AwsClients.v2(TestStore::KEY).get_object(bucket: bucket, key: key)
      expect(opened.body.read).to be_bytes(data)
      expect(opened.content_type).to eq("text/x-test")
    end

    [0, 300_000, 40_000_000].each do |size|
      it "writes a local file of #{size} bytes with its metadata, which opens after it is stored in a bucket" do
        File.binwrite("plain", plain = random_bytes(size))
        succeed("encrypt", "plain", "-o", "body")
        metadata = JSON.parse(File.read("body.metadata.json"))
        AwsClients.plain.put_object(bucket: bucket, key: key, metadata: metadata, body: File.binread("body"))
        expect(stored_plaintext(key)).to be_bytes(plain)
        expect(AwsClients.v2(TestStore::KEY).get_object(bucket: bucket, key: key).body.read).to be_bytes(plain)
        expect(succeed("decrypt", "body")).to be_bytes(plain)
      end
    end

    it "writes with key commitment and under an id with the options for that" do
      succeed("encrypt", "plain", "-o", "body", "--commitment-policy", "require_encrypt_allow_decrypt",
              "--key-id", "of the archive")
      headers = JSON.parse(File.read("body.metadata.json")).transform_keys { |name| "x-amz-meta-#{name}" }
      expect(EnvelopeDecryptor.decrypt(headers, File.binread("body"), TestStore::KEY)).to be_bytes(data)
      expect(succeed("inspect", "body")).to match(/^format: +V3/).and match(/^key id: +of the archive$/)
    end

    it "overwrites neither object nor file without --force" do
      succeed("encrypt", "plain", "-o", address, *connection)
      before = stored(key).last
      expect(fail_with(1, "encrypt", "plain", "-o", address, *connection)).to include("already exists; --force")
      expect(stored(key).last).to be_bytes(before)
      succeed("encrypt", "plain", "-o", address, *connection, "--force")
      expect(stored(key).last == before).to be(false)

      File.write("body.metadata.json", "mine")
      expect(fail_with(1, "encrypt", "plain", "-o", "body")).to include("body.metadata.json already exists")
      expect([File.exist?("body"), File.read("body.metadata.json")]).to eq([false, "mine"])
    end

    it "refuses paths that are not files" do
      expect(fail_with(1, "encrypt", "nothing", "-o", "body")).to include("No such file")
      expect(fail_with(1, "encrypt", ".", "-o", "body")).to include(". is not a file")
      expect(fail_with(1, "encrypt", "plain", "-o", "away/body"))
        .to include("away/body cannot be written: there is no folder away")
      expect(Dir.children(".")).to eq(["plain"])
    end
  end

  describe "inspect" do
    it "describes how an object is encrypted, without a key and without showing one" do
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

    it "recognizes legacy objects, and those that are not encrypted" do
      aws_writes(data, AwsClients.v1(TestStore::KEY))
      expect(succeed("inspect", address, *connection))
        .to match(/^format: +V1 \(legacy/).and match(/^plaintext: +300000 bytes, as its writer noted$/)
        .and match(/^place: +not bound/)
      AwsClients.plain.put_object(bucket: bucket, key: key, body: "plain")
      expect(fail_with(1, "inspect", address, *connection)).to include("contains no envelope")
    end

    it "prints no control characters" do
      File.write("body", "x" * 20)
      File.write("body.metadata.json", JSON.generate("x-amz-key-v2" => "k", "x-amz-cek-alg" => "\e]0;title\a",
                                                     "x-amz-matdesc" => "{\"key_id\":\"\\u001b[31m\"}"))
      expect(succeed("inspect", "body")).not_to match(/[\e\a]/)
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

    it "has no option for a key, and wrong usage exits with status 2" do
      wrong = {
        [] => /no action is given/, %w[shred x] => /"shred" is unknown/, %w[decrypt] => /its argument is missing/,
        %w[encrypt x] => /give the object/, %w[decrypt x y] => /too many/, %w[inspect s3://x] => %r{s3://BUCKET/KEY},
        %w[decrypt x --key k] => /ambiguous|invalid option/, %w[decrypt x --config y] => /must be given together/,
        %w[decrypt x --place-binding require] => /--place-binding needs --object-key/,
        %w[decrypt s3://a/b --object-key c] => %r{--object-key is for local objects only; s3://a/b is in a bucket},
        %w[inspect s3://a/b --metadata c] => /--metadata is for local objects only/,
        %w[encrypt x -o y --content-type text/x] => /--content-type is for objects in buckets/,
        %w[decrypt x --signature y] => /are for verify-report only/,
        %w[decrypt x -o s3://a/b] => /local files only/, %w[encrypt s3://a/b -o x] => /local files only/
      }
      wrong.each do |arguments, message|
        expect(fail_with(2, *arguments)).to match(message).and include("--help")
      end
    end
  end
end
