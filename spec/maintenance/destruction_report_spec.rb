# frozen_string_literal: true

require "open3"
require "rbconfig"
require_relative "../active_storage_helper"
require_relative "../support/custody"
require_relative "../support/task_helpers"

RSpec.describe EncryptedS3Service::DestructionReport, :active_storage do
  include Custody
  include TaskHelpers

  around { |example| Dir.mktmpdir { |folder| Dir.chdir(folder) { example.run } } }

  let(:pair) { OpenSSL::PKey.generate_key("ED25519") }
  let(:keys) { { "1" => key(1), "2" => key(2) } }
  let(:output) { StringIO.new }

  def key(number) = OpenSSL::Digest.digest("SHA256", "tenant #{number}")

  def configure(sources, **settings)
    Rails.configuration.encrypted_s3_service.tenant_keys = sources
    Rails.configuration.encrypted_s3_service.report_signing_key = settings[:signing_key]
    Rails.configuration.encrypted_s3_service.key_custodian = settings[:custodian]
    EncryptedS3Service.instance_variable_set(:@resolved_services, nil)
  end

  before do
    forget_all_files
    configure({ encrypted: keys, doubled: keys }, signing_key: pair.private_to_pem)
  end

  after { configure(nil) }

  def store(tenant, text = "text", service: :encrypted)
    name = EncryptedS3Service.tenant_service(service, tenant)
    ActiveStorage::Blob.create_and_upload!(io: StringIO.new(text), filename: "secret name.txt", service_name: name.to_s)
  end

  def destroy(tenant)
    keys.delete(tenant)
    EncryptedS3Service.forget_service("encrypted@#{tenant}")
  end

  def run(**variables)
    variables = variables.transform_keys(&:to_s)
    EncryptedS3Service::UnreadableFiles::Command.new(variables, output: output).run
  end

  def report = JSON.parse(File.read("report.json"))

  # @return [Array(String, Integer)] the command's output and exit status
  def verify(path, *options)
    File.write("public.pem", pair.public_to_pem) unless File.exist?("public.pem")
    root = File.expand_path("../..", __dir__)
    program = "#{root}/exe/encrypted_s3_service"
    output, status = Open3.capture2e(RbConfig.ruby, "-rbundler/setup", "-I", "#{root}/lib", program,
                                     "verify-report", path, "--public-key", "public.pem", *options)
    [output, status.exitstatus]
  end

  it "lists every file of a destroyed key with its key id, and that it was tried and did not open" do
    blobs = [store(1, "one"), store(1, "three")]
    store(2)
    key_id = blobs[0].service.client.configuration.encryption_key.id
    destroy("1")
    expect(run(REPORT: "report")).to be(true)
    expect(report).to include("verdict" => "unreadable",
                              "software" => "encrypted_s3_service #{EncryptedS3Service::VERSION}")
    expect(report["files"].map { |file| file.slice("service", "blob_id", "key", "bytes", "key_id", "result") })
      .to eq(blobs.map do |blob|
               { "service" => "encrypted@1", "blob_id" => blob.id, "key" => blob.key, "bytes" => blob.byte_size,
                 "key_id" => key_id, "result" => "unreadable" }
             end)
    expect(report["files"][0]["tries"].map { |try| try.slice("with", "error") })
      .to eq([{ "with" => "encrypted@1", "error" => "key-destroyed" }, { "with" => "encrypted", "error" => "unwrap" }])
    expect(Time.iso8601(report["files"][0]["tried_at"])).to be_within(60).of(Time.now)
    expect(report["services"].map { |service| service.slice("service", "files", "bytes", "results", "key_ids") })
      .to eq([{ "service" => "encrypted@1", "files" => 2, "bytes" => 8, "results" => { "unreadable" => 2 },
                "key_ids" => { key_id => 2 } }])
    expect(report["services"][0]["keys_tried"])
      .to eq("encrypted@1" => [], "encrypted" => [EncryptedS3Service::EncryptionKey.id_of(TestStore::KEY)])
  end

  it "says what it does not cover" do
    store(1)
    destroy("1")
    run(REPORT: "report")
    expect(File.read("report.html").squish)
      .to include("Files that were deleted from the database before, and backups, are not in this report.")
  end

  it "contains no file name and no key" do
    store(1)
    destroy("1")
    run(REPORT: "report")
    texts = Dir["report.*"].sum("") { |path| File.binread(path) }
    expect(texts).not_to include("secret name")
    expect(texts).not_to include([TestStore::KEY].pack("m0"))
    expect(Dir["report.*"].map { |path| File.stat(path).mode & 0o777 }).to all(eq(0o600))
  end

  it "is verified with only the public key, by the command and by openssl, and so is the page" do
    store(1)
    destroy("1")
    run(REPORT: "report")
    %w[report.json report.html].each do |path|
      expect(verify(path)).to match([/#{path}: signed by the key \h{64}/, 0])
      check = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "public.pem", "-rawin", "-in", path, "-sigfile",
               "#{path}.sig"]
      expect(Open3.capture2e(*check).first).to match(/Signature Verified Successfully/)
    end
    expect(verify("report.json").first).to match(/encrypted@1: 1 files, 4 bytes: 1 unreadable\nverdict: unreadable/)
    expect(File.read("report.html")).to include(OpenSSL::Digest.hexdigest("SHA256", File.binread("report.json")))
  end

  it "is refused when a byte was changed, or another key signed it" do
    store(1)
    destroy("1")
    run(REPORT: "report")
    changed = File.binread("report.json").sub("unreadable", "unreadablE")
    File.binwrite("changed.json", changed)
    expect(verify("changed.json", "--signature", "report.json.sig")).to match([/the signature is WRONG/, 1])
    File.write("public.pem", OpenSSL::PKey.generate_key("ED25519").public_to_pem)
    expect(verify("report.json")).to match([/the signature is WRONG/, 1])
    File.write("public.pem", OpenSSL::PKey::RSA.new(2048).public_to_pem)
    expect(verify("report.json")).to match([/--public-key must be an Ed25519 key/, 1])
  end

  it "proves nothing if a file still opens" do
    # An object that was stored under the key of the entry.
    blob = store(1)
    destroy("1")
    new_client.upload(blob.key, StringIO.new("open"))
    expect(run(REPORT: "report")).to be(false)
    expect(output.string).to include("NOT PROVEN")
    expect(report).to include("verdict" => "not proven")
    expect(report["files"][0]["result"]).to eq("opened")
    expect(File.read("report.html")).to include("NOT PROVEN")
    expect(verify("report.json").last).to eq(0)
  end

  it "proves nothing while a migration's old file is left, in another place too" do
    plain = ActiveStorage::Blob.create_and_upload!(io: StringIO.new("text"), filename: "a.txt", service_name: "local")
    to = EncryptedS3Service.tenant_service(:encrypted, 1)
    migration = { from: :local, to: to, blobs: ActiveStorage::Blob.where(id: plain.id) }
    EncryptedS3Service::Migration.new(**migration).run
    destroy("1")
    expect(run(REPORT: "report")).to be(false)
    expect(report["files"].map { |file| file.values_at("service", "result") })
      .to eq([["encrypted@1", "unreadable"], %w[local opened]])
  end

  it "distinguishes missing and damaged files from unreadable ones" do
    gone = store(1)
    damaged = store(1)
    destroy("1")
    server.delete(bucket, gone.key)
    server.put(bucket, damaged.key, "no envelope")
    expect(run(REPORT: "report")).to be(false)
    expect(report["files"].map { |file| file["result"] }).to eq(["gone", "not tried"])
  end

  it "covers every copy of a mirror" do
    server.create_bucket("#{bucket}-elsewhere")
    blob = store(1, service: :doubled)
    keys.delete("1")
    EncryptedS3Service.forget_service("doubled@1")
    expect(EncryptedS3Service::UnreadableFiles.new.blobs).to eq([blob])
    run(REPORT: "report")
    expect(report["files"].map { |file| file["service"] }.uniq.size).to be > 1
  end

  it "covers tenants whose keys a custodian has destroyed, even if this process had the key a moment ago" do
    transit_key = bao.transit_key
    references = { "3" => reference_to(transit_key), "4" => reference_to(bao.transit_key) }
    custodian = EncryptedS3Service::OpenBao.new(address: bao.address, token: OpenBaoServer::ROOT)
    configure({ encrypted: references }, custodian: custodian, signing_key: pair.private_to_pem)
    blob = store(3)
    store(4)
    bao.destroy(transit_key)
    expect(run(REPORT: "report")).to be(true)
    expect(report["files"].map do |file|
             file.slice("blob_id", "result")
           end).to eq([{ "blob_id" => blob.id, "result" => "unreadable" }])
    expect(report["files"][0]["tries"][0]["error"]).to eq("key-destroyed")
  end

  it "does not take an outage of a custodian for destruction" do
    away = Custody::Recording.new { raise EncryptedS3Service::CustodianError, "away" }
    configure({ encrypted: { "3" => reference_to(bao.transit_key) } },
              custodian: EncryptedS3Service::OpenBao.new(address: bao.address, token: OpenBaoServer::ROOT))
    store(3)
    configure({ encrypted: { "3" => "custodian:x#0123456789abcdef" } }, custodian: away,
                                                                        signing_key: pair.private_to_pem)
    EncryptedS3Service.forget_keys
    expect { run(REPORT: "report") }.to raise_error(EncryptedS3Service::CustodianError)
    expect(Dir["*"]).to be_empty
  end

  it "reports missing settings, and overwrites nothing" do
    store(1)
    expect do
      run(REPORT: "report")
    end.to raise_error(EncryptedS3Service::ConfigurationError, /No file is under a destroyed key/)
    destroy("1")
    run(REPORT: "report")
    expect { run(REPORT: "report") }.to raise_error(EncryptedS3Service::FileError, /report.json already exists/)
    configure({ encrypted: keys })
    expect do
      run(REPORT: "other")
    end.to raise_error(EncryptedS3Service::ConfigurationError, /openssl genpkey -algorithm ed25519/)
    expect do
      run(REPORT: "other",
          REPORT_SIGNING_KEY: "nonsense")
    end.to raise_error(EncryptedS3Service::ConfigurationError, /not a readable key/)
    expect do
      run(REPORT: "other",
          REPORT_SIGNING_KEY: pair.public_to_pem)
    end.to raise_error(EncryptedS3Service::ConfigurationError, /private key/)
    expect(run(REPORT: "other", REPORT_SIGNING_KEY: pair.private_to_pem)).to be(true)
  end

  def write_with_limit(report, bytes)
    process = fork do
      # Without this, the limit kills the process. With it, the write fails.
      trap("XFSZ", "IGNORE")
      Process.setrlimit(:FSIZE, bytes)
      report.write("report")
      exit!(0)
    rescue EncryptedS3Service::FileError => e
      $stderr.reopen(File::NULL)
      File.write("said", e.message)
      exit!(3)
    end
    Process.wait2(process).last.exitstatus
  end

  it "is written whole or not at all, so that it can be written again" do
    store(1)
    destroy("1")
    report = described_class.new(signature: EncryptedS3Service::ReportSignature.new(pair.private_to_pem)).run
    # Enough for the first file and its signature, and not for the page.
    expect(write_with_limit(report, JSON.pretty_generate(report.to_h).bytesize + 1)).to eq(3)
    expect(File.read("said")).to match(/\AThe report cannot be written: File too large/)
    expect(Dir.children(".")).to eq(["said"])
    expect(report.write("report").size).to eq(4)
  end

  it "is refused before anything is tried, if it cannot be written" do
    store(1)
    destroy("1")
    File.symlink("nowhere", "there.html.sig")
    expect(EncryptedS3Service::UnreadableFiles).not_to receive(:new)
    { "there" => /there.html.sig already exists/, "no/report" => /there is no folder no/ }.each do |path, message|
      expect { run(REPORT: path) }.to raise_error(EncryptedS3Service::FileError, message)
    end
  end

  it "can cover one service" do
    [1, 2].each { |tenant| store(tenant) }
    destroy("1")
    destroy("2")
    run(REPORT: "report", SERVICE: "encrypted@2")
    expect(report["services"].map { |service| service["service"] }).to eq(["encrypted@2"])
  end
end
