# frozen_string_literal: true

require "open3"
require "rbconfig"
require_relative "../rails_helper"
require_relative "../support/task_helpers"

# The task in a process of its own, on the database and the files of the dummy application.
RSpec.describe "encrypted_s3_service:migrate" do
  include TaskHelpers

  before { forget_all_files }

  let(:arguments) { ["FROM=local", "TO=encrypted"] }

  def command(*arguments)
    library = File.expand_path("../../lib", __dir__)
    [{ "SCOPE" => nil, "DELETE" => nil, "CONFIRM" => nil }, RbConfig.ruby, "-rbundler/setup", "-I", library, "-S",
     "rake", "encrypted_s3_service:migrate", *arguments]
  end

  def place = { chdir: File.expand_path("../dummy", __dir__) }

  # @return [Array(String, Process::Status)] all that it printed
  def migrate(*) = Open3.capture2e(*command(*), **place)

  def local = ActiveStorage::Blob.services.fetch(:local)

  def moved(to = "encrypted") = ActiveStorage::Blob.where(service_name: to).count

  # Kills the task without warning when it has moved some files.
  def migrate_and_kill(at:, from: "local", to: "encrypted")
    log = File.open(File::NULL, "w")
    process = Process.detach(Process.spawn(*command("FROM=#{from}", "TO=#{to}", "DELETE=true"), **place,
                                           %i[out err] => log))
    sleep 0.01 until moved(to) >= at || !process.alive?
    Process.kill(:KILL, process.pid) if process.alive?
    process.value
  ensure
    log&.close
  end

  it "can be killed and run again: every file is moved once, and none is lost" do
    keys = create_files(500, "local")
    killed = [rand(1..200), rand(250..450)].map { |count| migrate_and_kill(at: count) }
    expect(killed.map(&:termsig)).to eq([9, 9])
    before = moved
    expect(before).to be_between(250, 499)

    output, status = migrate(*arguments, "DELETE=true", "CONFIRM=500")
    expect(status).to be_success, output
    expect(output).to match(/^#{500 - before} files \([\d.]+ .?B\) moved/).and match(/^500 files .* deleted/)

    blobs = ActiveStorage::Blob.order(:id).to_a
    expect(blobs.map(&:key)).to eq(keys)
    expect(blobs.map(&:service_name).uniq).to eq(["encrypted"])
    expect(keys - server.list(bucket)).to eq([])
    expect(keys.select { |key| local.exist?(key) }).to eq([])
    wrong = blobs.each_index.reject { |number| blobs[number].download == text_of(number) }
    expect(wrong).to eq([])
  end

  it "can be killed within one bucket too: only the old files are deleted in the end" do
    old = create_files(300, "encrypted")
    expect(migrate_and_kill(at: rand(1..250), from: "encrypted", to: "published").termsig).to eq(9)
    output, status = migrate("FROM=encrypted", "TO=published", "DELETE=true", "CONFIRM=300")
    expect(status).to be_success, output
    blobs = ActiveStorage::Blob.order(:id).to_a
    expect(blobs.map(&:service_name).uniq).to eq(["published"])
    expect(server.list(bucket) & old).to eq([])
    expect(blobs.each_index.reject { |number| blobs[number].download == text_of(number) }).to eq([])
    expect(blobs.map(&:metadata).uniq).to eq([{}])
  end

  it "reports failures and exits with 1, without any content of a file" do
    keys = create_files(4, "local")
    File.binwrite(local.path_for(keys[2]), "plaintext of somebody")
    output, status = migrate(*arguments)
    id = ActiveStorage::Blob.find_by!(key: keys[2]).id
    expect(status.exitstatus).to eq(1)
    expect(output).to match(/^1 of 4 files failed/).and match(/^  blob #{id}: EncryptedS3Service::IntegrityError: /)
    expect(output).not_to include("plaintext of")
    expect(moved).to eq(3)
  end

  it "counts a file whose old file could not be deleted among those that were deleted" do
    require "encrypted_s3_service/maintenance/migration/command"
    keys = create_files(3, "local")
    EncryptedS3Service::Migration.new(from: :local, to: :encrypted).run
    server.put(bucket, keys[1], "damaged")
    environment = { "FROM" => "local", "TO" => "encrypted", "DELETE" => "true", "CONFIRM" => "3" }
    expect(EncryptedS3Service::Migration::Command.new(environment, output: output = StringIO.new).run).to be(false)
    expect(output.string).to include("\n1 of 3 files failed:\n")
  end

  it "changes nothing in a dry run" do
    create_files(3, "local")
    output, status = migrate(*arguments, "DRY_RUN=true")
    expect(status).to be_success
    expect(output).to include("3 files").and include("to be moved")
    expect(moved).to eq(0)
  end

  it "moves the files of the given attachment, with CONCURRENCY files at once" do
    create_files(4, "local")
    file, *pages = ActiveStorage::Blob.order(:id).first(3)
    Document.create!(file: file, pages: pages)
    output, status = migrate(*arguments, "ATTACHMENT=Document#pages", "CONCURRENCY=1")
    expect(status).to be_success, output
    expect(ActiveStorage::Blob.order(:id).pluck(:service_name)).to eq(%w[local encrypted encrypted local])
  end

  {
    [] => /FROM is missing/,
    ["FROM=local"] => /TO is missing/,
    ["FROM=local", "TO=nowhere"] => /no service "nowhere"/,
    ["FROM=local", "TO=encrypted", "SCOPE=old"] => /migration_scopes has no "old"/,
    ["FROM=local", "TO=encrypted", "ATTACHMENT=Document#nothing"] => /nothing is attached as Document#nothing/,
    ["FROM=local", "TO=encrypted", "DRY_RUN=yes"] => /DRY_RUN must be true or false/,
    ["FROM=local", "TO=encrypted", "CONCURRENCY=0"] => /CONCURRENCY must be a number from 1 to 64/,
    ["FROM=local", "TO=encrypted", "CONCURRENCY=65"] => /CONCURRENCY must be a number from 1 to 64/,
    ["FROM=local", "TO=encrypted", "CONCURRENCY=many"] => /CONCURRENCY must be a number from 1 to 64/,
    ["FROM=local", "TO=encrypted", "REPAIR_CHECKSUMS=yes"] => /REPAIR_CHECKSUMS must be true or false/,
    ["FROM=local", "TO=encrypted", "SCOPE="] => /SCOPE is empty/,
    ["FROM=local", "TO=encrypted", "ATTACHMENT=", "DELETE=true"] => /ATTACHMENT is empty/,
    ["FROM=local", "TO=encrypted", "RETRY="] => /RETRY is empty/
  }.each do |arguments, message|
    it "names the error in #{arguments.inspect}" do
      require "encrypted_s3_service/maintenance/migration/command"
      environment = arguments.to_h { |argument| argument.split("=", 2) }
      expect { EncryptedS3Service::Migration::Command.new(environment).run }
        .to raise_error(EncryptedS3Service::ConfigurationError, message)
    end
  end

  it "accepts numbers with leading zeros" do
    require "encrypted_s3_service/maintenance/migration/command"
    create_files(2, "local")
    environment = { "FROM" => "local", "TO" => "encrypted", "CONCURRENCY" => "08" }
    expect(EncryptedS3Service::Migration::Command.new(environment, output: StringIO.new).run).to be(true)
  end

  describe "SCOPE" do
    def selected(text)
      require "encrypted_s3_service/maintenance/migration/command"
      EncryptedS3Service::Migration::Selection.blobs(scope: text).pluck(:key)
    end

    around do |example|
      settings = Rails.configuration.encrypted_s3_service
      settings.migration_scopes = {
        empty: -> { ActiveStorage::Blob.where(byte_size: 0) },
        smaller: ->(bytes) { ActiveStorage::Blob.where(byte_size: ...Integer(bytes)) },
        wrong: -> { Document.all },
        optional: ->(bytes = 0) { ActiveStorage::Blob.where(byte_size: Integer(bytes)) },
        any: ->(*bytes) { ActiveStorage::Blob.where(byte_size: bytes.map { |number| Integer(number) }) },
        plain: proc { |bytes| ActiveStorage::Blob.where(byte_size: bytes || 0) },
        method: self.class.method(:blobs_of_size),
        object: Class.new { def call(bytes) = ActiveStorage::Blob.where(byte_size: bytes) }.new,
        two: ->(_one, _two) { ActiveStorage::Blob.all }
      }
      example.run
    ensure
      settings.migration_scopes = nil
    end

    def self.blobs_of_size(bytes) = ActiveStorage::Blob.where(byte_size: bytes)

    it "accepts any callable, with or without an argument after the colon" do
      keys = create_files(3, "local")
      size = text_of(1).bytesize
      expect(%w[optional any plain].map { |name| selected(name) }).to eq([[keys[0]], [], [keys[0]]])
      names = %w[optional any plain method object]
      expect(names.map { |name| selected("#{name}:#{size}") }).to eq([[keys[1]]] * names.size)
    end

    it "accepts a lambda of the application, which can get an argument" do
      keys = create_files(4, "local")
      expect(selected("empty")).to eq(keys.first(1))
      expect(selected("smaller:40")).to eq(keys.first(3))
    end

    it "is refused if it does not exist, has the wrong arguments, or returns no blobs" do
      { "other" => /only empty, smaller, wrong/, "empty:1" => /accepts no argument/, "smaller" => /needs an argument/,
        "smaller:" => /needs an argument/, "optional:" => /needs an argument/, "method" => /needs an argument/,
        "object" => /needs an argument/, "two:1" => /must accept at most one argument/,
        "wrong" => /must return a relation of ActiveStorage::Blob/ }.each do |text, message|
        expect { selected(text) }.to raise_error(EncryptedS3Service::ConfigurationError, message)
      end
    end
  end
end
