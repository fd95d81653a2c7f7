# frozen_string_literal: true

require_relative "../active_storage_helper"
require_relative "../support/aws_clients"
require_relative "../support/fault_proxy"
require_relative "../support/kms"
require_relative "../support/task_helpers"
require "encrypted_s3_service/maintenance/rotation/command"

RSpec.describe EncryptedS3Service::Rotation, :active_storage do
  include TaskHelpers

  before { forget_all_files }

  let(:output) { StringIO.new }
  let(:old_id) { service(:encrypted).client.configuration.encryption_key.id }

  def service(name) = ActiveStorage::Blob.services.fetch(name)

  # A blob that was stored before the key was changed.
  def old_blob(data, **)
    blob_of(data, "a.bin", service_name: "encrypted", **).tap { |blob| blob.update_columns(service_name: "rotated") }
  end

  def rotate(name = :rotated, **) = described_class.new(name, output: output, **).run

  def key_id(blob) = service(:rotated).client.envelope(blob.key).key_id

  def entry(**) = { service: "EncryptedS3", **TestStore.settings, ** }

  def later_key = "the key that follows the other one"[0, 32]

  it "puts a service's files under the new key, and counts the keys before and after" do
    blobs = Array.new(20) { |number| old_blob("file #{number}") }
    current = blob_of("new", "b.bin", service_name: "rotated")
    other = blob_of("other", "c.bin", service_name: "encrypted")
    tally = rotate
    expect(tally).to have_attributes(outcomes: { rotated: 20, current: 1 }, failures: [], old_format: 0,
                                     key_ids_before: { old_id => 20, "2026" => 1 }, key_ids_after: { "2026" => 21 })
    expect(blobs.map { |blob| stored_plaintext(blob.key, later_key) }).to eq(Array.new(20) { |n| "file #{n}" })
    expect([current, *blobs].map { |blob| key_id(blob) }.uniq).to eq(["2026"])
    expect(key_id(other)).to eq(old_id)
    expect(rotate.outcomes).to eq({ current: 21 })
  end

  it "processes only the given blobs" do
    mine, other = %w[mine other].map { |word| old_blob(word) }
    expect(rotate(blobs: ActiveStorage::Blob.where(id: mine.id)).outcomes).to eq({ rotated: 1 })
    expect([mine, other].map { |blob| key_id(blob) }).to eq(["2026", old_id])
  end

  it "processes a blob once that the relation has twice" do
    shared = old_blob("data")
    ActiveStorage::Attachment.insert_all!(Array.new(2) do |number|
      { name: "file#{number}", record_type: "Document", record_id: 0, blob_id: shared.id, created_at: Time.current }
    end)
    expect(rotate(blobs: ActiveStorage::Blob.joins(:attachments)).total).to eq(1)
  end

  it "processes all encrypting services of a mirror" do
    server.create_bucket("#{bucket}-elsewhere")
    blob = blob_of("mirrored", "a.txt", service_name: "mirrored")
    expect(rotate(:mirrored).outcomes).to eq({ current: 1 })
    mirror = { service: "Mirror", primary: "rotated", mirrors: %w[encrypted local] }
    resolving("both" => mirror) do
      blob.update_columns(service_name: "both")
      # The second one has the former key again, and cannot read the new one.
      expect(rotate(:both)).to have_attributes(outcomes: { rotated: 1, failed: 1 })
    end
  end

  it "reports failures with their object, continues with the rest, and shows no key" do
    good, missing, plain = %w[good missing plain].map { |word| old_blob("#{word} content, long enough for a tag") }
    server.delete(bucket, attached(missing).key)
    server.put(bucket, plain.key, "plain content, long enough for a tag")
    tally = rotate
    expect(tally.outcomes).to eq({ rotated: 1, missing: 1, failed: 1 })
    expect(tally.failures.map(&:to_s))
      .to contain_exactly(/\Ablob #{missing.id}, object #{missing.key} of rotated: EncryptedS3Service::NotFoundError/,
                          /\Ablob #{plain.id}, object #{plain.key} of rotated: EncryptedS3Service::EnvelopeError/)
    expect(output.string).to include("FAILED blob #{missing.id}")
    expect(output.string).not_to include(later_key)
    expect(output.string).not_to match(/content, long/)
    expect(key_id(good)).to eq("2026")
  end

  it "does not count an unfinished upload as a failure" do
    blobs = %w[came never].map { |word| old_blob(word) }
    server.delete(bucket, blobs.last.key)
    2.times do |turn|
      expect(rotate(dry_run: turn.zero?)).to have_attributes(outcomes: { rotated: 1, unfinished: 1 }, failures: [],
                                                             key_ids_before: { old_id => 1 })
    end
    expect(described_class::Audit.new(:rotated).run).to have_attributes(unfinished: 1, missing: [], well?: true)
  end

  it "lists the changes in a dry run, and changes nothing" do
    blobs = Array.new(3) { old_blob("data") }
    blob_of("new", "b.bin", service_name: "rotated")
    before = blobs.map { |blob| object_itself(blob.key) }
    expect(rotate(dry_run: true))
      .to have_attributes(outcomes: { rotated: 3, current: 1 }, key_ids_before: { old_id => 3, "2026" => 1 })
    expect(blobs.map { |blob| object_itself(blob.key) }).to eq(before)
  end

  describe "of files that are purged meanwhile" do
    # A service whose requests come by a proxy.
    def through_proxy(**settings)
      FaultProxy.run(server.endpoint) do |proxy|
        entry = entry(encryption_key: later_key, encryption_key_id: "2026", decryption_keys: [TestStore::KEY],
                      endpoint: proxy.endpoint, **settings)
        resolving("proxied" => entry) { yield proxy }
      end
    end

    def proxied_blob = old_blob("data").tap { |blob| blob.update_columns(service_name: "proxied") }

    it "reports nothing" do
      through_proxy do |proxy|
        blobs = Array.new(2) { proxied_blob }
        proxy.fault("HeadObject", times: 1) { blobs.each(&:purge) }
        expect(rotate(:proxied, concurrency: 1)).to have_attributes(outcomes: {}, failures: [])
      end
    end

    it "leaves nothing behind when it is encrypted again" do
      through_proxy(commitment_policy: "require_encrypt_allow_decrypt") do |proxy|
        blob = proxied_blob
        proxy.fault("PutObject", times: 1) { blob.purge }
        expect(rotate(:proxied, reencrypt: true).failures).to eq([])
        expect(server.list(bucket)).not_to include(blob.key)
      end
    end
  end

  it "shows its progress, rate and remaining time on a terminal" do
    terminal = StringIO.new
    def terminal.tty? = true
    30.times { |number| old_blob("file #{number}") }
    described_class.new(:rotated, output: terminal, concurrency: 1, rate: 100).run
    expect(terminal.string)
      .to match(%r{\r\e\[K\[=*\s*\] \d+ of 30 files processed, [\d.]+/s, \d+ seconds? left})
      .and match(/30 files processed in \d+ seconds?\n\z/)
  end

  it "may run twice at once" do
    blobs = Array.new(30) { |number| old_blob("file #{number}") }
    tallies = Array.new(2) { Thread.new { described_class.new(:rotated).run } }.map(&:value)
    expect(tallies.flat_map(&:failures)).to eq([])
    expect(tallies.sum { |tally| tally.outcomes[:rotated] }).to be >= 30
    expect(blobs.map { |blob| stored_plaintext(blob.key, later_key) }).to eq(Array.new(30) { |n| "file #{n}" })
  end

  describe "if V3 is written" do
    around do |example|
      resolving("rotated3" => entry(encryption_key: later_key, encryption_key_id: "2026",
                                    commitment_policy: "require_encrypt_allow_decrypt",
                                    decryption_keys: [TestStore::KEY])) { example.run }
    end

    let!(:blob) { old_blob("data").tap { |blob| blob.update_columns(service_name: "rotated3") } }

    it "counts the objects that stay V2" do
      expect(rotate(:rotated3)).to have_attributes(outcomes: { rotated: 1 }, old_format: 1)
      expect(rotate(:rotated3)).to have_attributes(outcomes: { current: 1 }, old_format: 1)
      expect(key_id(blob)).to eq("2026")
    end

    it "encrypts them again on demand, once" do
      expect(rotate(:rotated3, dry_run: true, reencrypt: true).outcomes).to eq({ reencrypted: 1 })
      expect(rotate(:rotated3, reencrypt: true))
        .to have_attributes(outcomes: { reencrypted: 1 }, old_format: 0, key_ids_after: { "2026" => 1 })
      expect(service(:rotated3).client.envelope(blob.key)).to have_attributes(format: "v3", key_id: "2026")
      expect(blob.reload.download).to eq("data")
      expect(rotate(:rotated3, reencrypt: true).outcomes).to eq({ current: 1 })
    end

    it "does so for blobs without a checksum, and for none with other content" do
      blob.update_columns(checksum: nil)
      other = old_blob("this")
      other.update_columns(service_name: "rotated3", checksum: md5("that"))
      before = object_itself(other.key)
      expect(rotate(:rotated3, reencrypt: true).outcomes).to eq({ reencrypted: 1, failed: 1 })
      expect(object_itself(other.key)).to eq(before)
      expect(blob.reload.download).to eq("data")
    end
  end

  describe "of objects with instruction files and legacy ones" do
    around do |example|
      resolving("legacy" => entry(encryption_key: later_key, encryption_key_id: "2026",
                                  envelope_location: "instruction_file", security_profile: "v2_and_legacy",
                                  decryption_keys: [TestStore::KEY])) { example.run }
    end

    def legacy_blob(data, client)
      blob = ActiveStorage::Blob.create_before_direct_upload!(filename: "a", byte_size: data.bytesize,
                                                              checksum: md5(data), service_name: "legacy")
      client.put_object(bucket: bucket, key: blob.key, body: data)
      blob
    end

    it "skips a file whose key looks like that of an instruction file" do
      blob = legacy_blob("legacy text", AwsClients.v1(TestStore::KEY))
      other = ActiveStorage::Blob.create_and_upload!(io: StringIO.new("other"), key: "#{blob.key}.instruction",
                                                     filename: "a", service_name: "encrypted")
      expect(rotate(:legacy, reencrypt: true).outcomes).to eq({ reencrypted: 1 })
      expect([blob.download, other.download]).to eq(["legacy text", "other"])
    end

    it "replaces their files" do
      blob = legacy_blob("in a file", AwsClients.v2(TestStore::KEY, envelope_location: :instruction_file))
      before = object_itself(blob.key)
      expect(rotate(:legacy, dry_run: true).outcomes).to eq({ rotated: 1 })
      expect(rotate(:legacy).outcomes).to eq({ rotated: 1 })
      expect(object_itself(blob.key)).to eq(before)
      amazon = AwsClients.v2(later_key, envelope_location: :instruction_file)
      expect(amazon.get_object(bucket: bucket, key: blob.key).body.read).to eq("in a file")
      expect(rotate(:legacy).outcomes).to eq({ current: 1 })
    end

    it "skips legacy objects unless they shall be encrypted again, which also moves envelopes out of files" do
      blobs = [legacy_blob("in a file", AwsClients.v2(TestStore::KEY, envelope_location: :instruction_file)),
               legacy_blob("legacy text", AwsClients.v1(TestStore::KEY))]
      expect(rotate(:legacy).outcomes).to eq({ rotated: 1, reencrypt: 1 })
      audit = described_class::Audit.new(:legacy).run
      expect(audit).to have_attributes(formats: { "instruction file" => 1, "v1" => 1 }, well?: true)
      described_class::Report.new(output).audit(audit)
      expect(output.string).to include("not bound to their keys: 2 (").and include("`rotate REENCRYPT=true` binds them")
      expect(rotate(:legacy, reencrypt: true).outcomes).to eq({ reencrypted: 2 })
      expect(blobs.map { |blob| stored_plaintext(blob.key, later_key) }).to eq(["in a file", "legacy text"])
      expect(server.list(bucket) & blobs.map { |blob| "#{blob.key}.instruction" }).to eq([])
      expect(rotate(:legacy, reencrypt: true).outcomes).to eq({ current: 2 })
    end
  end

  describe "of objects that must not change" do
    # Of the servers here, only this one keeps locks and storage classes.
    let(:moto) { Aws::S3::Client.new(**store, force_path_style: true) }
    let(:store) do
      { endpoint: Kms.server.endpoint, region: "us-east-1", access_key_id: "moto", secret_access_key: "moto" }
    end

    def locked_entry(**) = { service: "EncryptedS3", bucket: "locked", force_path_style: true, **store, ** }

    around do |example|
      moto.create_bucket(bucket: "locked", object_lock_enabled_for_bucket: true)
      after = { encryption_key: later_key, encryption_key_id: "2026", decryption_keys: [TestStore::KEY] }
      resolving("before" => locked_entry(encryption_key: TestStore::KEY), "locked" => locked_entry(**after),
                "locked3" => locked_entry(**after, commitment_policy: "require_encrypt_allow_decrypt")) { example.run }
    end

    def stored_before(text)
      blob_of(text, "a.bin", service_name: "before").tap { |blob| blob.update!(service_name: "locked") }
    end

    it "skips archived and locked ones with the reason, and continues with the rest" do
      archived, locked, held, free = %w[archived locked held free].map { |text| stored_before(text) }
      moto.copy_object(bucket: "locked", key: archived.key, copy_source: "locked/#{archived.key}",
                       storage_class: "DEEP_ARCHIVE", metadata_directive: "COPY")
      moto.put_object_retention(bucket: "locked", key: locked.key,
                                retention: { mode: "COMPLIANCE", retain_until_date: Time.now + 86_400 })
      moto.put_object_legal_hold(bucket: "locked", key: held.key, legal_hold: { status: "ON" })
      tally = rotate(:locked)
      expect(tally.outcomes).to eq({ immovable: 3, rotated: 1 })
      expect(tally.failed).to eq(3)
      expect(tally.failures.map(&:to_s)).to contain_exactly(
        /blob #{archived.id}, .*: it is archived \(DEEP_ARCHIVE\). Restore it first/,
        /blob #{locked.id}, .*: it is locked \(Object Lock, COMPLIANCE until \d{4}-.*old key/,
        /blob #{held.id}, .*: it is locked \(Object Lock, legal hold\)/
      )
      expect([locked, held, free].map { |blob| blob.reload.download }).to eq(%w[locked held free])
      versions = moto.list_object_versions(bucket: "locked", prefix: locked.key).versions
      expect(versions.size).to eq(1)
    end

    it "reports them in a dry run, and encrypts none of them again" do
      free = stored_before("free")
      held = stored_before("held")
      moto.put_object_legal_hold(bucket: "locked", key: held.key, legal_hold: { status: "ON" })
      expect(rotate(:locked, dry_run: true).outcomes).to eq({ immovable: 1, rotated: 1 })
      [free, held].each { |blob| blob.update!(service_name: "locked3") }
      [true, false].each do |dry_run|
        expect(rotate(:locked3, reencrypt: true, dry_run: dry_run).outcomes).to eq({ immovable: 1, reencrypted: 1 })
      end
      expect(moto.list_object_versions(bucket: "locked", prefix: held.key).versions.size).to eq(1)
      expect([held, free].map { |blob| service(:locked3).client.envelope(blob.key).format }).to eq(%w[v2 v3])
    end

    it "reports them, and the task fails" do
      blob = stored_before("locked")
      moto.put_object_legal_hold(bucket: "locked", key: blob.key, legal_hold: { status: "ON" })
      command = described_class::Command.new({ "SERVICE" => "locked" }, output: output)
      expect(command.rotate).to be(false)
      expect(output.string).to include("locked: 1 left: they are archived or locked",
                                       "1 of 1 object could not be rotated", "legal hold")
    end
  end

  describe "with keys in AWS KMS" do
    let(:arn) { Kms.create_key }

    around do |example|
      resolving("in kms" => { service: "EncryptedS3", **Kms.settings(arn, decryption_keys: [TestStore::KEY]).compact },
                "in another" => { service: "EncryptedS3",
                                  **Kms.settings(Kms.create_key, decryption_keys: ["kms:#{arn}"]).compact }) do
        example.run
      end
    end

    it "goes from AES to KMS and from key to key; the audit counts by the keys' ARNs" do
      blobs = Array.new(3) { |number| blob_of("file #{number}", "a.bin", service_name: "encrypted") }
      blobs.each { |blob| blob.update_columns(service_name: "in kms") }
      expect(rotate(:"in kms").outcomes).to eq({ rotated: 3 })
      expect(rotate(:"in kms")).to have_attributes(outcomes: { current: 3 }, key_ids_before: { arn => 3 })
      audit = described_class::Audit.new(:"in kms").run
      expect(audit).to have_attributes(key_ids: { arn => 3 }, current: 3, well?: true)
      expect(blobs.map { |blob| blob.reload.download }).to eq(["file 0", "file 1", "file 2"])
      blobs.each { |blob| blob.update_columns(service_name: "in another") }
      expect(rotate(:"in another", dry_run: true).outcomes).to eq({ rotated: 3 })
      expect(rotate(:"in another").outcomes).to eq({ rotated: 3 })
      expect(blobs.map { |blob| blob.reload.download }).to eq(["file 0", "file 1", "file 2"])
      expect(described_class::Audit.new(:"in another").run.current).to eq(3)
    end

    it "encrypts again under the key in KMS if rotation is not enough" do
      settings = Kms.settings(arn, security_profile: "v2_and_legacy").compact
      resolving("strict" => { service: "EncryptedS3", **settings }) do
        blob = legacy_kms_blob
        expect(rotate(:strict, reencrypt: true).outcomes).to eq({ reencrypted: 1 })
        expect(service(:strict).client.download(blob.key)).to eq("long ago")
        expect(service(:strict).client.envelope(blob.key)).to have_attributes(format: "v2", key_id: arn)
      end
    end

    def legacy_kms_blob
      blob = ActiveStorage::Blob.create_before_direct_upload!(filename: "a", byte_size: 8, checksum: md5("long ago"),
                                                              service_name: "strict")
      AwsClients.v1_kms(arn, Kms.client).put_object(bucket: bucket, key: blob.key, body: "long ago")
      blob
    end
  end

  describe "an audit" do
    it "counts formats and keys, and lists missing files and files without an envelope" do
      blobs = Array.new(4) { |number| old_blob("file #{number}") }
      rotate(blobs: ActiveStorage::Blob.where(id: blobs.first.id))
      server.delete(bucket, attached(blobs[2]).key)
      server.put(bucket, blobs[3].key, "short")
      audit = described_class::Audit.new(:rotated).run
      expect(audit).to have_attributes(formats: { "v2" => 2 }, key_ids: { "2026" => 1, old_id => 1 }, current: 1,
                                       failures: [], well?: false)
      expect(audit.missing.map(&:to_s))
        .to match([/\Ablob #{blobs[2].id}, object #{blobs[2].key} of rotated: EncryptedS3Service::NotFoundError/])
      expect(audit.unencrypted.map(&:to_s)).to eq(["blob #{blobs[3].id}, object #{blobs[3].key} of rotated"])
    end
  end

  describe "the pace" do
    it "limits the files per second, without catching up after pauses" do
      time = 0.0
      passed = []
      pace = EncryptedS3Service::TaskRun::RateLimit.new(10, clock: -> { time }, sleeper: ->(wait) { time += wait })
      25.times do
        pace.wait
        passed << time
      end
      expect(passed.count { |at| at < 1 - 1e-9 }).to eq(10)
      expect(passed.count { |at| at < 2 - 1e-9 }).to eq(20)
      time = 100.0
      20.times do
        pace.wait
        passed << time
      end
      expect(passed.count { |at| at >= 100 && at < 101 - 1e-9 }).to eq(10)
    end

    it "has no effect without a rate" do
      pace = EncryptedS3Service::TaskRun::RateLimit.new(nil, sleeper: ->(_) { raise "slept" })
      expect { 100.times { pace.wait } }.not_to raise_error
    end
  end

  it "refuses services that do not exist, do not encrypt, or have no key" do
    expect { rotate(:nowhere) }.to raise_error(EncryptedS3Service::ConfigurationError, /no service "nowhere"/)
    expect { rotate(:local) }.to raise_error(EncryptedS3Service::ConfigurationError, /local is not an EncryptedS3/)
  end
end
