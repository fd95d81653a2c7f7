# frozen_string_literal: true

require_relative "../rails_helper"
require_relative "../support/dummy_process"
require_relative "../support/kms"
require "encrypted_s3_service/maintenance/unreadable_files"

RSpec.describe EncryptedS3Service::TenantKeys do
  # The application's data: a key for each tenant.
  let(:keys) { { "1" => key(1), "2" => key(2) } }

  def key(number) = OpenSSL::Digest.digest("SHA256", "tenant #{number}")

  def configure(sources)
    Rails.configuration.encrypted_s3_service.tenant_keys = sources
    EncryptedS3Service.instance_variable_set(:@resolved_services, nil)
  end

  before { configure({ encrypted: keys }) }

  after { configure(nil) }

  def store(tenant, text = "of tenant #{tenant}")
    name = EncryptedS3Service.tenant_service(:encrypted, tenant)
    ActiveStorage::Blob.create_and_upload!(io: StringIO.new(text), filename: "a.txt", service_name: name.to_s)
  end

  def key_id(blob) = JSON.parse(stored(blob.key).first.fetch("x-amz-meta-x-amz-matdesc"))["key_id"]

  it "encrypts each tenant's files under the tenant's own key, in the same bucket" do
    blobs = [1, 2].map { |tenant| store(tenant) }
    expect(blobs.map(&:service_name)).to eq(%w[encrypted@1 encrypted@2])
    blobs.each.with_index(1) do |blob, tenant|
      expect(stored_plaintext(blob.key, key(tenant))).to eq("of tenant #{tenant}")
      expect { stored_plaintext(blob.key, key(3 - tenant)) }.to raise_error(OpenSSL::Cipher::CipherError)
    end
    expect(blobs.map { |blob| key_id(blob) }.uniq.size).to eq(2)
  end

  it "reads a file for any tenant, and makes variants under the same key in a job without a tenant" do
    path = Tempfile.create(["a", ".png"]).path
    system("convert", "-size", "64x64", "xc:red", path, exception: true)
    name = EncryptedS3Service.tenant_service(:encrypted, 1)
    blob = File.open(path, "rb") do |file|
      ActiveStorage::Blob.create_and_upload!(io: file, filename: "a.png", service_name: name.to_s)
    end
    ActiveStorage::TransformJob.perform_now(blob, { resize_to_limit: [10, 10] })
    variant = blob.variant_records.sole.image.blob
    expect(variant.service_name).to eq("encrypted@1")
    expect(stored_plaintext(variant.key, key(1))).to start_with("\x89PNG".b)
    expect(key_id(variant)).to eq(key_id(blob))
  ensure
    FileUtils.rm_f(path)
  end

  describe "in AWS KMS" do
    let(:arns) { Array.new(2) { Kms.create_key } }
    let(:keys) { { "1" => "kms:#{arns[0]}", "2" => { kms_key_id: arns[1], kms_encryption_context: { tenant: "2" } } } }

    # All tenants have of the entry where KMS is.
    around do |example|
      entry = Rails.configuration.active_storage.service_configurations["encrypted"]
      entry["kms_endpoint"] = Kms.server.endpoint
      example.run
    ensure
      entry.delete("kms_endpoint")
    end

    it "are one per tenant, with an encryption context of its own" do
      blobs = [1, 2].map { |tenant| store(tenant) }
      expect(blobs.map(&:download)).to eq(["of tenant 1", "of tenant 2"])
      headers = blobs.map { |blob| stored(blob.key).first }
      expect(headers.map { |header| header["x-amz-meta-encrypted-s3-kms-key"] }).to eq(arns)
      expect(headers.map { |header| JSON.parse(header["x-amz-meta-x-amz-matdesc"])["tenant"] }).to eq([nil, "2"])
    end

    it "are destroyed with the tenant's key in KMS" do
      blob = store(1)
      FaultProxy.run(Kms.server.endpoint) do |proxy|
        proxy.fault("Decrypt", status: 400, answer: JSON.generate({ __type: "NotFoundException" }))
        client = EncryptedS3Service::Client.new(**Kms.settings(arns[0], kms_endpoint: proxy.endpoint))
        expect { client.download(blob.key) }.to raise_error(EncryptedS3Service::KeyDestroyedError)
      end
    end
  end

  it "accepts records, numbers and texts as tenants, and refuses ids that cannot be part of a name" do
    expect([Struct.new(:id).new(7), 7, "7"].map { |tenant| EncryptedS3Service.tenant_service(:encrypted, tenant) })
      .to all(eq(:"encrypted@7"))
    [nil, "", "a b", "a/b", "a@b", "x" * 101].each do |id|
      expect { EncryptedS3Service.tenant_service(:encrypted, id) }.to raise_error(ArgumentError, /tenant's id/)
    end
    expect { EncryptedS3Service.tenant_service(:local, 1) }
      .to raise_error(EncryptedS3Service::ConfigurationError, /no keys for the service local/)
  end

  it "has no such service if the application has no keys for it" do
    configure(nil)
    expect { store(1) }.to raise_error(EncryptedS3Service::ConfigurationError, /tenant_keys/)
    expect { ActiveStorage::Blob.services.fetch("encrypted@1") }.to raise_error(KeyError)
  end

  it "asks for no key of an id that a tenant cannot have" do
    asked = []
    configure({ encrypted: ->(id) { asked.push(id) && key(1) } })
    ["../1", "1 or 2", "1@2", "", "1\n", "a" * 101].each do |id|
      expect { ActiveStorage::Blob.services.fetch("encrypted@#{id}") }.to raise_error(KeyError)
      expect { EncryptedS3Service.tenant_service(:encrypted, id) }.to raise_error(ArgumentError, /must have 1 to 100/)
    end
    expect(asked).to eq([])
  end

  describe "of which one is destroyed" do
    let!(:blob) { store(1) }

    before do
      keys.delete("1")
      EncryptedS3Service.forget_service("encrypted@1")
    end

    it "makes only the files under it unreadable" do
      blob = ActiveStorage::Blob.find(self.blob.id)
      reads = [-> { blob.download }, -> { blob.download { nil } }, -> { blob.open { nil } },
               -> { blob.download_chunk(0..1) }]
      reads.each do |read|
        expect(&read).to raise_error(EncryptedS3Service::KeyDestroyedError, /key of encrypted@1 is destroyed/)
      end
      expect(store(2).download).to eq("of tenant 2")
    end

    it "stores nothing under a destroyed key" do
      keys_before = server.list(bucket)
      expect { store(1) }.to raise_error(EncryptedS3Service::KeyDestroyedError)
      expect(server.list(bucket)).to match_array(keys_before)
    end

    it "refuses every call of its client that needs the key" do
      client = ActiveStorage::Blob.services.fetch("encrypted@1").client
      %i[upload download reader download_file download_chunk compose rotate reencrypt index open_version].each do |call|
        expect { client.public_send(call, blob.key) }.to raise_error(EncryptedS3Service::KeyDestroyedError), call.to_s
      end
    end

    it "announces no direct upload, and makes no blob for one" do
      blob = { filename: "a.txt", byte_size: 5, checksum: md5("hello"), content_type: "text/plain" }
      token = EncryptedS3Service::DirectUploads.token("encrypted@1")
      visitor = ActionDispatch::Integration::Session.new(Rails.application)
      announce = -> { visitor.post("/rails/active_storage/direct_uploads", params: { blob:, service_token: token }) }
      expect { expect(announce.call).to eq(410) }.not_to change(ActiveStorage::Blob, :count)
      keys["1"] = key(1)
      EncryptedS3Service.forget_service("encrypted@1")
      expect { expect(announce.call).to eq(200) }.to change(ActiveStorage::Blob, :count).by(1)
    end

    it "still lets the files be purged" do
      ActiveStorage::Blob.find(blob.id).purge
      expect(server.head(bucket, blob.key)[0]).to eq(404)
    end

    it "has its files listed" do
      # Other specs leave files of customers that no longer exist.
      ActiveStorage::Blob.where("service_name LIKE 'encrypted@%'").where.not(id: blob.id).delete_all
      files = EncryptedS3Service::UnreadableFiles.new
      expect(files.lines.map(&:to_h)).to eq([{ service_name: "encrypted@1", count: 1, bytes: blob.byte_size }])
      expect(files.blobs).to eq([blob])
    end

    it "has its files listed by a task" do
      count = ActiveStorage::Blob.where(service_name: "encrypted@1").count
      printed, status = DummyProcess.run(<<~RUBY)
        Rails.configuration.encrypted_s3_service.tenant_keys = { encrypted: {} }
        Rails.application.load_tasks
        ActiveStorage::Blob.where("service_name like 'encrypted@%'").where.not(service_name: "encrypted@1").delete_all
        Rake::Task["encrypted_s3_service:unreadable"].invoke
      RUBY
      expect(status).to be_success, printed
      expect(printed).to match(/^encrypted@1: #{count} files?, \d+ bytes$/)
      expect(printed).to include("#{count} files cannot be read any more.")
    end
  end

  it "accepts a Hash whose ids are Integers or Symbols, and does not call an existing key destroyed" do
    [{ 1 => key(1), 2 => key(2) }, { "1": key(1), "2": key(2) }, { 1 => key(1) }.with_indifferent_access].each do |keys|
      configure({ encrypted: keys })
      expect(stored_plaintext(store(1).key, key(1))).to eq("of tenant 1")
    end
    configure({ encrypted: { 7 => key(7) } })
    expect { store("07") }.to raise_error(EncryptedS3Service::KeyDestroyedError)
  end

  it "shows no key" do
    resolver = described_class.resolver({ encrypted: { "1" => "k" * 32 } })
    [resolver, resolver.call("encrypted@1"), EncryptedS3Service.resolved_services].each do |object|
      expect([object.inspect, object.to_json].join).not_to include("kkk")
    end
  end

  describe "for a class of the application that encrypts" do
    before { configure({ inheriting: keys }) }

    it "gives it the tenant's key" do
      name = EncryptedS3Service.tenant_service(:inheriting, 1)
      blob = ActiveStorage::Blob.create_and_upload!(io: StringIO.new("text"), filename: "a", service_name: name.to_s)
      expect(blob.service).to be_a(ActiveStorage::Service::InheritingService)
      expect(stored_plaintext(blob.key, key(1))).to eq("text")
    end
  end

  describe "for an entry whose own key has a passphrase" do
    let(:pem) { OpenSSL::PKey::RSA.new(2048).private_to_pem(OpenSSL::Cipher.new("aes-256-cbc"), "pass phrase") }
    let(:keys) { { "1" => key(1), "2" => pem } }

    around do |example|
      entry = Rails.configuration.active_storage.service_configurations["encrypted"]
      before = entry["encryption_key"]
      entry.merge!("encryption_key" => pem, "encryption_key_passphrase" => "pass phrase")
      example.run
    ensure
      entry["encryption_key"] = before
      entry.delete("encryption_key_passphrase")
    end

    it "uses the passphrase for a tenant's key that needs one, and for no other" do
      expect([1, 2].map { |tenant| store(tenant).download }).to eq(["of tenant 1", "of tenant 2"])
    end
  end

  describe "for mirrors" do
    before(:context) { server.create_bucket("#{bucket}-elsewhere") }

    before do
      clear_enqueued_jobs
      configure({ doubled: keys, nested: keys })
    end

    # Stores a file for a tenant, and performs the job that mirrors it.
    def mirrored(entry, tenant)
      name = EncryptedS3Service.tenant_service(entry, tenant).to_s
      perform_enqueued_jobs do
        ActiveStorage::Blob.create_and_upload!(io: StringIO.new("of #{tenant}"), filename: "a.txt", service_name: name)
      end
    end

    def copies(blob) = [bucket, "#{bucket}-elsewhere"].map { |name| server.get(name, blob.key).drop(1) }

    it "encrypts every copy with only the tenant's key" do
      %i[doubled nested].each do |entry|
        blob = mirrored(entry, 1)
        expect(copies(blob).map { |copy| EnvelopeDecryptor.decrypt(*copy, key(1)) }).to eq(["of 1"] * 2)
        [key(2), TestStore::KEY].product(copies(blob)).each do |other, copy|
          expect { EnvelopeDecryptor.decrypt(*copy, other) }.to raise_error(OpenSSL::Cipher::CipherError)
        end
      end
    end

    it "names the parts after the tenant, those of nested mirrors too" do
      names = %w[doubled@1 nested@1].map do |name|
        EncryptedS3Service::ServiceParts.new(ActiveStorage::Blob.services.fetch(name)).to_a.map(&:name)
      end
      expect(names).to eq([%i[encrypted@1 elsewhere@1], %i[encrypted@1 elsewhere@1 rotated@1]])
      expect(EncryptedS3Service.encrypts?(:"doubled@1")).to be(true)
    end

    # The parts have no names that the application could look up, or names of services with other keys.
    [{}, { encrypted: { "1" => "another key of the same tenant"[0, 32].ljust(32) } }].each do |others|
      it "has links and direct uploads, #{others.any? ? "whatever keys its parts have by themselves" : "as others"}" do
        configure({ doubled: keys, nested: keys, **others })
        visitor = ActionDispatch::Integration::Session.new(Rails.application)
        %i[doubled nested].each do |entry|
          blob = ActiveStorage::Blob.create_before_direct_upload!(
            filename: "a.txt", byte_size: 5, checksum: md5("hello"), content_type: "text/plain",
            service_name: EncryptedS3Service.tenant_service(entry, 1).to_s
          )
          upload, link = ActiveStorage::Current.set(url_options: { host: "www.example.com" }) do
            [blob.service_url_for_direct_upload, blob.url]
          end
          headers = blob.service_headers_for_direct_upload
          expect([visitor.put(upload, params: "hello", headers: headers), visitor.get(link)]).to eq([204, 200])
          expect(visitor.response.body).to eq("hello")
          expect(stored_plaintext(blob.key, key(1))).to eq("hello")
        end
      end
    end

    it "makes a tenant's files unreadable in every part when its key is destroyed, and lets them be purged" do
      blob, other = [1, 2].map { |tenant| mirrored(:doubled, tenant) }
      keys.delete("1")
      EncryptedS3Service.forget_service("doubled@1")
      parts = EncryptedS3Service::ServiceParts.new(ActiveStorage::Blob.find(blob.id).service).to_a
      [blob, *parts].each do |place|
        read = -> { place == blob ? ActiveStorage::Blob.find(blob.id).download : place.download(blob.key) }
        expect(&read).to raise_error(EncryptedS3Service::KeyDestroyedError)
      end
      expect(ActiveStorage::Blob.find(other.id).download).to eq("of 2")
      ActiveStorage::Blob.find(blob.id).purge
      expect([bucket, "#{bucket}-elsewhere"].map { |name| server.head(name, blob.key)[0] }).to eq([404, 404])
    end

    it "keeps a mirror as long as neither its key nor its parts change" do
      services = EncryptedS3Service.resolved_services
      first = services.fetch("doubled@1")
      allow(services).to receive(:ttl).and_return(-1)
      expect(services.fetch("doubled@1")).to be(first)
      keys["1"] = key(9)
      expect(services.fetch("doubled@1")).not_to be(first)
    end
  end

  describe "for an entry that cannot have tenant keys" do
    def expect_refusal(name, message)
      configure({ name => keys })
      refusal = [EncryptedS3Service::ConfigurationError, message]
      expect { described_class.check({ name => keys }) }.to raise_error(*refusal)
      expect { ActiveStorage::Blob.services.fetch("#{name}@1") }.to raise_error(*refusal)
    end

    it "is refused: another kind, a mirror with a part of another kind, a name that does not exist" do
      expect_refusal(:local, /`local` cannot use keys of tenants because it is a Disk service/)
      expect_refusal(:mirrored, /`mirrored` cannot .* because its part `local` is a Disk service/)
      expect_refusal(:nested_with_disk, /because its part `local` is a Disk service/)
      expect_refusal(:nowhere, /no service nowhere in config/)
    end

    it "is refused if its name contains the separator" do
      entries = EncryptedS3Service::ServiceEntries.new("eu@files" => { "service" => "EncryptedS3" })
      expect { described_class.check({ "eu@files" => keys }, entries) }
        .to raise_error(EncryptedS3Service::ConfigurationError, /`eu@files` .* contains @, which separates/)
    end

    it "is refused at boot" do
      printed, status = RubyProcess.run(<<~RUBY)
        require "#{File.expand_path("../dummy/config/application", __dir__)}"
        Rails.application.config.encrypted_s3_service.tenant_keys = { mirrored: {} }
        Rails.application.initialize!
      RUBY
      expect(status).not_to be_success
      expect(printed).to include("`mirrored` cannot use keys of tenants because its part `local` is a Disk service")
    end
  end

  describe EncryptedS3Service::DerivedKeys do
    let(:master) { "base64:#{["m" * 32].pack("m0")}" }

    # RFC 5869 by hand, with HMAC alone.
    def hkdf(salt, info)
      hmac = ->(key, data) { OpenSSL::HMAC.digest("SHA256", key, data) }
      hmac.call(hmac.call(salt, "m" * 32), "#{info}\x01")
    end

    it "are HKDF of the master key, the salt and the tenant's id" do
      info = "encrypted_s3_service tenant key 1:42"
      expect(described_class.new(master).call("42")).to eq(hkdf("\0" * 32, info))
      salted = described_class.new(master, salt: ->(id) { "salt of tenant #{id} in the database" })
      expect(salted.call("42")).to eq(hkdf("salt of tenant 42 in the database", info))
    end

    it "encrypt, are the same in every process, and are lost with the salt" do
      salts = { "1" => SecureRandom.bytes(16) }
      configure({ encrypted: described_class.new(master, salt: ->(id) { salts[id] }) })
      blob = store(1)
      configure({ encrypted: described_class.new(master, salt: ->(id) { salts[id] }) })
      expect(ActiveStorage::Blob.find(blob.id).download).to eq("of tenant 1")
      salts.clear
      EncryptedS3Service.forget_service("encrypted@1")
      expect { blob.download }.to raise_error(EncryptedS3Service::KeyDestroyedError)
    end

    it "refuse a salt that could be guessed, and do not show the master key" do
      keys = described_class.new(master, salt: ->(_) { "short" })
      expect { keys.call("1") }.to raise_error(EncryptedS3Service::ConfigurationError, /salt of tenant 1 has 5 bytes/)
      expect(keys.inspect).not_to include("mmm")
      expect { described_class.new("short") }.to raise_error(EncryptedS3Service::ConfigurationError)
    end

    it "refuse a reference to a key, also one of 32 bytes, because it is not secret" do
      ["openbao:k:vault:v1:AAAA", "custodian:#{"x" * 22}", " openbao:#{"x" * 23}"].each do |reference|
        expect { described_class.new(reference) }
          .to raise_error(EncryptedS3Service::ConfigurationError, /cannot be a reference to a key here/)
      end
    end

    it "refuse an RSA key, because half of it is public" do
      rsa = OpenSSL::PKey::RSA.new(2048)
      [rsa.public_to_pem, rsa.to_pem].each do |pem|
        expect { described_class.new(pem) }
          .to raise_error(EncryptedS3Service::ConfigurationError, /master key must be an AES key of 32 bytes/)
      end
    end
  end
end
