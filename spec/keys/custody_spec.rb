# frozen_string_literal: true

require_relative "../support/custody"
require_relative "../support/ruby_process"

RSpec.describe EncryptedS3Service::KeyCustody do
  include Custody

  let(:transit_key) { bao.transit_key }
  let(:bytes) { SecureRandom.bytes(32) }
  let(:reference) { reference_to(transit_key, bytes) }
  let(:key) { unique_key }

  def client(**overrides)
    new_client(encryption_key: reference, encryption_key_id: nil, **overrides)
  end

  def error_of
    yield
    nil
  rescue EncryptedS3Service::Error => e
    e
  end

  def store(text = "content", into: client) = into.upload(key, StringIO.new(text))

  # Compares byte by byte, which makes no further copy.
  def copies_of(secret)
    ObjectSpace.each_object(String).count do |text|
      text.bytesize == secret.bytesize && secret.each_byte.with_index.all? { |byte, at| text.getbyte(at) == byte }
    end
  end

  it "encrypts under the key that the custodian returns: ordinary objects that the plain key opens" do
    use_open_bao
    store
    expect(stored_plaintext(key, bytes)).to eq("content")
    expect(client.download(key)).to eq("content")
    plain = new_client(encryption_key: bytes, encryption_key_id: nil)
    expect(plain.download(key)).to eq("content")
    expect(client.envelope(key).key_id).to eq(EncryptedS3Service::EncryptionKey.new(bytes).id)
    expect(stored(key).to_s).not_to include("vault:v1")
  end

  it "gives the objects the key id of the configuration" do
    use_open_bao
    store(into: client(encryption_key_id: "2026"))
    expect(client.envelope(key).key_id).to eq("2026")
  end

  describe "requests" do
    it "are not made at boot, or for operations that need no key" do
      use_open_bao
      service = client
      expect(service.exist?(key)).to be(false)
      service.delete(key)
      service.delete_prefixed(key)
      expect(service.inspect).to include("specs")
      expect(bao.decryptions(transit_key)).to eq(0)
    end

    it "are made once per time to live, with many threads and services" do
      use_custodian(use_open_bao, ttl: 2)
      store
      services = Array.new(3) { client }
      EncryptedS3Service.forget_keys
      before = bao.decryptions(transit_key)
      Array.new(30) do |at|
        Thread.new do
          3.times do
            expect(services[at % 3].download(key)).to eq("content")
          end
        end
      end.each(&:join)
      expect(bao.decryptions(transit_key) - before).to eq(1)
      wait_for_end_of(2)
      Array.new(10) { |at| Thread.new { services[at % 3].download(key) } }.each(&:join)
      expect(bao.decryptions(transit_key) - before).to eq(2)
    end

    it "are made by another thread when the requesting one is killed" do
      gate = Queue.new
      custodian = Custody::Recording.new { gate.pop && bytes }
      use_custodian(custodian)
      service = client(encryption_key: "custodian:x##{EncryptedS3Service::EncryptionKey.id_of(bytes)}")
      asking = Array.new(3) { |at| Thread.new { service.upload("#{key}-#{at}", StringIO.new("x")) } }
      Thread.pass until custodian.asked.size == 1 && asking.all? { |thread| thread.status == "sleep" }
      first = asking.find do |thread|
        thread.backtrace.any? do |line|
          line.include?("/custody.rb") && line.include?("unwrap")
        end
      end || asking.first
      first.kill.join
      3.times { gate << true }
      (asking - [first]).each { |thread| expect(thread.value).to include(bytes: 1) }
      expect(custodian.asked.size).to eq(2)
    end
  end

  describe "the time to live" do
    let(:server) { OpenBaoServer.new.start }

    after { server.stop }

    it "is how long an outage is survived; then files are refused with the reason, and work again with the server" do
      reference = reference_to(server.transit_key, bytes, server: server)
      use_custodian(use_open_bao(server), ttl: 1.5)
      service = client(encryption_key: reference)
      store(into: service)
      server.stop
      expect(service.download(key)).to eq("content")
      wait_for_end_of(1.5)
      expect(error_of { service.download(key) }).to be_a(EncryptedS3Service::CustodianError)
        .and have_attributes(retryable?: true,
                             message: /the key `key-\h+`: http.* connection refused.*Check the server/)
      expect(error_of { store(into: service) }).to be_a(EncryptedS3Service::CustodianError)
      expect(service.exist?(key)).to be(true)
      service.delete(key)
      expect(service.exist?(key)).to be(false)
    end

    it "counts from before the request, so that a slow custodian does not extend it" do
      use_custodian(Custody::Recording.new { sleep(0.5) && bytes }, ttl: 0.6)
      custody = EncryptedS3Service.key_custody
      began = custody.now
      copy = custody.copy(EncryptedS3Service::KeyReference.new("custodian:x", "encryption_key"))
      expect(copy.ends_at - began).to be_within(0.05).of(0.6)
    end

    it "ends by itself: the key is wiped without any use" do
      use_custodian(Custody::Recording.new { bytes }, ttl: 0.3)
      custody = EncryptedS3Service.key_custody
      custody.copy(EncryptedS3Service::KeyReference.new("custodian:x", "encryption_key"))
      kept = custody.instance_variable_get(:@entries).values.first.bytes
      expect(kept).to eq(bytes)
      wait_for_end_of(0.3)
      Thread.pass until custody.inspect.include?("keys=0")
      expect(kept).to eq("\0" * 32)
    end

    it "concerns the only copy of the key in Ruby: all others are wiped after each use" do
      use_open_bao
      service = client
      GC.disable
      before = copies_of(bytes)
      store(into: service)
      expect(copies_of(bytes) - before).to eq(1)
      EncryptedS3Service.forget_keys
      expect(copies_of(bytes) - before).to eq(0)
    ensure
      GC.enable
    end

    it "ends for an unused service too: it keeps no client with the key" do
      use_custodian(use_open_bao, ttl: 0.5)
      service = client
      store(into: service)
      custodied = service.instance_variable_get(:@custodied)
      expect(custodied.instance_variable_get(:@slot)).not_to be_nil
      Thread.pass until custodied.instance_variable_get(:@slot).nil?
      expect(service.download(key)).to eq("content")
    end

    it "does not depend on the clock of the machine" do
      use_custodian(use_open_bao, ttl: 300)
      service = client
      store(into: service)
      allow(Time).to receive(:now).and_return(Time.now + 86_400)
      expect(service.download(key)).to eq("content")
      expect(bao.decryptions(transit_key)).to eq(1)
    end
  end

  describe "a key that is revoked" do
    it "is used no longer than the time to live, and immediately after it is allowed again" do
      token = bao.token_for(transit_key)
      use_custodian(use_open_bao(token: token), ttl: 0.5)
      service = client
      store(into: service)
      bao.api!(:post, "auth/token/revoke", { token: token })
      expect(service.download(key)).to eq("content")
      wait_for_end_of(0.5)
      expect(error_of { service.download(key) }).to be_a(EncryptedS3Service::CustodianDeniedError)
      use_custodian(use_open_bao)
      expect(service.download(key)).to eq("content")
    end

    it "is dropped from this process when the keys are forgotten" do
      use_open_bao
      service = client
      store(into: service)
      bao.destroy(transit_key)
      expect(service.download(key)).to eq("content")
      EncryptedS3Service.forget_keys
      expect(error_of { service.download(key) }).to be_a(EncryptedS3Service::KeyDestroyedError)
      service.delete(key)
      expect(service.exist?(key)).to be(false)
    end
  end

  describe "a refusal" do
    it "is remembered for some seconds, for any number of files" do
      custodian = use_custodian(Custody::Recording.new { raise EncryptedS3Service::CustodianError, "away" })
      service = client(encryption_key: "custodian:x#0123456789abcdef")
      errors = Array.new(20) { Thread.new { error_of { service.download(key) } } }.map(&:value)
      expect(errors).to all(be_a(EncryptedS3Service::CustodianError)
        .and(have_attributes(message: "Cannot use the key with the id 0123456789abcdef: away")))
      expect(custodian.asked.size).to eq(1)
    end

    it "by a custodian's own error is reported, and an interrupt is not remembered" do
      custodian = use_custodian(Custody::Recording.new { raise "a secret" })
      service = client(encryption_key: "custodian:x#0123456789abcdef")
      expect(error_of { service.download(key) }).to be_a(EncryptedS3Service::CustodianError)
        .and have_attributes(message: /key custodian Custody::Recording failed \(RuntimeError\)/)
      expect(error_of { service.download(key) }.message).not_to include("a secret")
      use_custodian(Custody::Recording.new { sleep })
      expect { Timeout.timeout(0.1) { service.download(key) } }.to raise_error(Timeout::Error)
      expect(custodian.asked.size).to eq(1)
    end

    it "by an error that says something of files is an error of the custodian" do
      use_custodian(Custody::Recording.new { raise EncryptedS3Service::IntegrityError, "the answer was changed" })
      expect(error_of { client(encryption_key: "custodian:x#0123456789abcdef").download(key) })
        .to be_a(EncryptedS3Service::CustodianError)
    end

    ["", "x" * 31, "\0" * 32, nil, 5, :key].each do |answer|
      it "follows from the invalid response #{answer.inspect[0, 12]}" do
        use_custodian(Custody::Recording.new { answer })
        service = client(encryption_key: "custodian:x", encryption_key_id: "x")
        expect(error_of { store(into: service) }).to be_a(EncryptedS3Service::KeyringError)
          .and have_attributes(message: /must return 32 bytes .*, but it returned (?!32 bytes)/)
        expect(traces_of(key)).to be_empty
      end
    end

    it "follows from another key than that of the reference" do
      use_custodian(Custody::Recording.new { bytes.reverse })
      service = client(encryption_key: "custodian:x##{EncryptedS3Service::EncryptionKey.id_of(bytes)}")
      expect(error_of { store(into: service) }).to be_a(EncryptedS3Service::KeyringError)
        .and have_attributes(message: /returned another key/)
    end
  end

  describe "decryption keys" do
    let(:former) { reference_to(former_transit_key) }
    let(:former_transit_key) { bao.transit_key }

    it "come from the custodian too, by id and in a list" do
      use_open_bao
      store(into: client(encryption_key: former))
      [{ EncryptedS3Service::KeyReference.new(former, "").key_id => former }, [former]].each do |keys|
        expect(client(decryption_keys: keys).download(key)).to eq("content")
      end
    end

    it "that are refused affect only the files under them, whose errors name the reason" do
      use_open_bao
      old = unique_key
      client(encryption_key: former).upload(old, StringIO.new("old"))
      bao.destroy(former_transit_key)
      EncryptedS3Service.forget_keys
      service = client(decryption_keys: [former])
      store(into: service)
      expect(service.download(key)).to eq("content")
      [-> { service.download(old) }, -> { service.rotate(old) }, -> { service.download_chunk(old, 0..1) },
       -> { Tempfile.create { |file| service.download_file(old, file) } }].each do |operation|
        expect(error_of(&operation)).to be_a(EncryptedS3Service::KeyDestroyedError)
          .and have_attributes(message: /`#{former_transit_key}`/)
      end
    end

    it "are rotated from one custodied key to the next and from a plain key" do
      use_open_bao
      plain = SecureRandom.bytes(32)
      store(into: client(encryption_key: plain))
      expect(client(decryption_keys: [plain]).rotate(key).outcome).to eq(:rotated)
      expect(stored_plaintext(key, bytes)).to eq("content")
    end

    it "may be the plain form of the writing key, while a key moves into custody" do
      use_open_bao
      store(into: new_client(encryption_key: bytes, encryption_key_id: nil))
      service = client(decryption_keys: [bytes])
      expect(service.download(key)).to eq("content")
      expect(service.rotate(key).outcome).to eq(:current)
    end
  end

  describe "a reference" do
    it "is refused at boot if it is wrong or there is no custodian" do
      { "openbao:contracts" => /openbao:TRANSIT_KEY:vault:v1:…#KEY_ID/,
        "openbao:../x:vault:v1:AA==#0123456789abcdef" => /wrap-key/,
        "custodian:a b" => /printable ASCII without spaces/, "custodian:x" => /without a key id/,
        "openbao:" => /encryption_key is missing/ }.each do |value, message|
        use_custodian(Custody::Recording.new { bytes })
        expect(error_of do
                 client(encryption_key: value)
               end).to be_a(EncryptedS3Service::ConfigurationError).and have_attributes(message: message)
      end
      EncryptedS3Service.key_custodian = nil
      expect(error_of { client }).to be_a(EncryptedS3Service::ConfigurationError)
        .and have_attributes(message: /encryption_key needs a key custodian, but none is configured: set config/)
    end

    it "can be in a file" do
      use_open_bao
      Tempfile.create do |file|
        file.puts(reference)
        file.flush
        store(into: client(encryption_key: "file:#{file.path}"))
      end
      expect(stored_plaintext(key, bytes)).to eq("content")
    end

    it "is passed to the custodian unchanged, without the key id" do
      custodian = use_custodian(Custody::Recording.new { bytes })
      reference = "custodian:arn:aws:kms:eu-central-1:1:key/2?x=y##{EncryptedS3Service::EncryptionKey.id_of(bytes)}"
      store(into: client(encryption_key: reference))
      expect(custodian.asked.pop).to eq("custodian:arn:aws:kms:eu-central-1:1:key/2?x=y")
    end
  end

  it "is requested again in a forked child" do
    use_open_bao
    service = client
    store(into: service)
    reader, writer = IO.pipe
    pid = fork do
      writer.write(service.download(key))
      exit!(0)
    end
    writer.close
    expect(reader.read).to eq("content")
    Process.wait(pid)
    expect(service.download(key)).to eq("content")
    expect(bao.decryptions(transit_key)).to eq(2)
  end

  it "works if another thread was requesting it when the process forked" do
    gate = Queue.new
    custodian = Custody::Recording.new { Thread.current[:waits] ? gate.pop : bytes }
    use_custodian(custodian)
    service = client(encryption_key: "custodian:x##{EncryptedS3Service::EncryptionKey.id_of(bytes)}")
    asking = Thread.new do
      Thread.current[:waits] = true
      service.download(key)
    end
    Thread.pass until custodian.asked.size == 1
    pid = fork { exit!(service.upload(key, StringIO.new("child"))[:bytes] == 5 ? 0 : 1) }
    expect(Process.wait2(pid).last).to be_success
  ensure
    asking&.kill&.join
  end

  it "shows no key in any text that Ruby makes of it" do
    use_open_bao
    service = client
    store(into: service)
    custody = EncryptedS3Service.key_custody
    custodied = service.instance_variable_get(:@custodied)
    entries = custody.instance_variable_get(:@entries).values
    texts = [custody, custodied, custodied.instance_variable_get(:@slot), *entries,
             service.configuration.encryption_key].map(&:inspect)
    expect(texts.join.b).not_to include(bytes)
    expect(texts.join).not_to match(/bytes/)
    expect { Marshal.dump(custody) }.to raise_error(TypeError)
  end
end
