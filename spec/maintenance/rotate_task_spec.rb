# frozen_string_literal: true

require "open3"
require "rbconfig"
require_relative "../rails_helper"
require_relative "../support/task_helpers"
require "encrypted_s3_service/maintenance/rotation/command"

# The tasks in a process of their own, on the database and the bucket of the dummy application.
RSpec.describe "encrypted_s3_service:rotate and encrypted_s3_service:audit" do
  include TaskHelpers

  before { forget_all_files }

  def command(task, *arguments)
    library = File.expand_path("../../lib", __dir__)
    [{ "SERVICE" => nil }, RbConfig.ruby, "-rbundler/setup", "-I", library, "-S", "rake",
     "encrypted_s3_service:#{task}", *arguments]
  end

  def place = { chdir: File.expand_path("../dummy", __dir__) }

  # @return [Array(String, Process::Status)] all that it printed
  def run(task, *) = Open3.capture2e(*command(task, *), **place)

  def service(name) = ActiveStorage::Blob.services.fetch(name)

  def old_id = service(:encrypted).client.configuration.encryption_key.id

  # Stored before the key was changed.
  # @return [Array<String>] their keys
  def old_files(count) = create_files(count, "rotated", stored_in: service(:encrypted))

  def rotated(keys) = keys.count { |key| service(:rotated).client.envelope(key).key_id == "2026" }

  def rotated?(key) = service(:rotated).client.envelope(key).key_id == "2026"

  it "can be killed and run again: in the end no file needs the old key" do
    keys = old_files(600)
    at = rand(50..400)
    process = Process.detach(Process.spawn(*command("rotate"), **place, %i[out err] => File::NULL))
    sleep 0.01 until rotated?(keys[at]) || !process.alive?
    Process.kill(:KILL, process.pid) if process.alive?
    expect(process.value.termsig).to eq(9)
    before = rotated(keys)
    expect(before).to be_between(at - 10, 599)

    output, status = run("rotate")
    expect(status).to be_success, output
    expect(output).to include("rotated: #{600 - before} rotated, #{before} under the writing key already")
      .and match(/keys before: .*#{old_id}: #{600 - before}/).and include("keys after: 2026: 600")
    new_key = "the key that follows the other one"[0, 32]
    expect(keys.each_index.reject { |number| stored_plaintext(keys[number], new_key) == text_of(number) }).to eq([])
  end

  it "reports failures and exits with 1" do
    keys = old_files(4)
    ActiveStorage::Blob.find_by!(key: keys[1]).then { |blob| Document.create!.file.attach(blob) }
    keys[1, 2].each { |key| server.delete(bucket, key) }
    output, status = run("rotate", "SERVICE=rotated", "CONCURRENCY=2", "RATE=1000")
    expect(status.exitstatus).to eq(1)
    expect(output).to include("rotated: 2 rotated, 1 missing, 1 skipped (upload never finished)")
      .and include("\n1 of 3 objects could not be rotated and were not changed:\n")
      .and match(/^  blob \d+, object #{keys[1]} of rotated: .*NotFoundError/)
  end

  it "changes nothing in a dry run" do
    keys = old_files(3)
    output, status = run("rotate", "DRY_RUN=true")
    expect(status).to be_success, output
    expect(output).to include("rotated: 3 to be rotated")
    expect(rotated(keys)).to eq(0)
  end

  it "audits formats and keys, and exits with 1 if a file is not encrypted" do
    keys = old_files(3)
    output, status = run("audit")
    expect(status).to be_success, output
    expect(output).to include("rotated: 3 encrypted objects, 0 under the writing key").and include("formats: v2: 3")
      .and include("keys: #{old_id}: 3")
    server.put(bucket, keys[0], "plaintext of somebody")
    output, status = run("audit", "SERVICE=rotated")
    expect(status.exitstatus).to eq(1)
    expect(output).to match(/^1 object with NO ENVELOPE, which may be plaintext:\n  blob \d+, object #{keys[0]} of/)
    expect(output).not_to include("plaintext of")
  end

  describe "the services" do
    let(:output) { StringIO.new }

    around do |example|
      settings = Rails.configuration.encrypted_s3_service
      settings.tenant_keys = { encrypted: { "7" => "t" * 32 } }
      EncryptedS3Service.instance_variable_set(:@resolved_services, nil)
      example.run
    ensure
      settings.tenant_keys = nil
      EncryptedS3Service.instance_variable_set(:@resolved_services, nil)
    end

    def store(name) = ActiveStorage::Blob.create_and_upload!(io: StringIO.new("x"), filename: "a", service_name: name)

    def rotate(**variables)
      EncryptedS3Service::Rotation::Command.new(variables.transform_keys(&:to_s), output: output).rotate
    end

    it "are all encrypting services that blobs name, those of tenants too, except those without a key" do
      %w[encrypted encrypted@7 local].each { |name| store(name) }
      store("encrypted").update_columns(service_name: "encrypted@8")
      expect(rotate).to be(true)
      expect(output.string).to match(/^encrypted: 1 under/).and match(/^encrypted@7: 1 under/)
        .and include("encrypted@8: skipped, its key is destroyed")
      expect(output.string).not_to include("local")
    end

    it "can be one of a tenant" do
      %w[encrypted encrypted@7].each { |name| store(name) }
      expect(rotate(SERVICE: "encrypted@7")).to be(true)
      expect(output.string).to include("encrypted@7: 1 under")
      expect(output.string).not_to match(/^encrypted:/)
      expect { rotate(SERVICE: "encrypted@8") }.to raise_error(EncryptedS3Service::KeyDestroyedError)
    end

    it "must all exist" do
      store("encrypted").update_columns(service_name: "gone")
      expect(rotate).to be(false)
      expect(output.string).to match(/^gone: FAILED: There is no service "gone"/)
    end
  end

  { { "SERVICE" => "nowhere" } => /no service "nowhere"/, { "SERVICE" => "" } => /SERVICE is empty/,
    { "RATE" => "fast" } => /RATE must be a number above 0/,
    { "RATE" => "0" } => /RATE must be/, { "DRY_RUN" => "yes" } => /DRY_RUN must be true or false/,
    { "REENCRYPT" => "no" } => /REENCRYPT must be/, { "CONCURRENCY" => "0", "SERVICE" => "rotated" } => /from 1 to 64/ }
    .each do |variables, message|
    it "name the error in #{variables}" do
      expect { EncryptedS3Service::Rotation::Command.new(variables, output: StringIO.new).rotate }
        .to raise_error(EncryptedS3Service::ConfigurationError, message)
    end
  end
end
