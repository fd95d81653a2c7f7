# frozen_string_literal: true

require_relative "../active_storage_helper"
require_relative "../support/task_helpers"
require "encrypted_s3_service/maintenance/migration/command"

RSpec.describe EncryptedS3Service::Migration::Command, :active_storage do
  include TaskHelpers

  before { forget_all_files }

  let(:output) { StringIO.new }
  let!(:keys) { create_files(3, "local") }

  # A terminal with a person who types.
  def typing(text) = StringIO.new(text).tap { |input| def input.tty? = true }

  def run(input: StringIO.new, **arguments)
    environment = { FROM: "local", TO: "encrypted", DELETE: "true", **arguments }.transform_keys(&:to_s)
    described_class.new(environment, output: output, input: input).run
  end

  def local = ActiveStorage::Blob.services.fetch(:local)

  def left = keys.count { |key| local.exist?(key) }

  it "shows the number, size and services of the files to delete, and deletes none without confirmation" do
    expect(run).to be(false)
    expect(ActiveStorage::Blob.pluck(:service_name).uniq).to eq(["encrypted"])
    expect(left).to eq(3)
    expect(output.string).to include("3 old files (45 Bytes) in local").and include("Nothing was deleted.")
      .and include("CONFIRM=3")
    expect(run(CONFIRM: "3")).to be(true)
    expect(left).to eq(0)
    expect(output.string).to match(/^3 files \(45 Bytes\) deleted in/)
  end

  it "refuses another number, and asks again when there are more files by then" do
    expect(run(CONFIRM: "4")).to be(false)
    keys.concat(create_files(2, "local"))
    expect(run(CONFIRM: "3")).to be(false)
    expect(output.string).to include("because CONFIRM=3 is a different number").and include("with CONFIRM=5.")
    expect(left).to eq(5)
    expect(run(CONFIRM: "05")).to be(true)
    expect(left).to eq(0)
  end

  it "accepts the number from a terminal" do
    ["\n", "yes\n", "", "2\n"].each { |text| expect(run(input: typing(text))).to be(false) }
    expect(left).to eq(3)
    expect(run(input: typing("3\n"))).to be(true)
    expect(output.string).to include("Type the number of files to delete them: ")
    expect(left).to eq(0)
  end

  it "shows the number in a dry run, including the files that are still to be moved" do
    ActiveStorage::Blob.find_by!(key: keys[2]).then { |blob| run(RETRY: file_of(blob)) }
    output.truncate(0)
    expect(run(DRY_RUN: "true")).to be(true)
    expect(output.string).to include("DELETE=true CONFIRM=3 would delete 3 old files (45 Bytes) in local.")
    expect(left).to eq(3)
    expect(run(CONFIRM: "3")).to be(true)
  end

  it "needs no number when there is nothing to delete" do
    expect(run(CONFIRM: "3")).to be(true)
    expect(run).to be(true)
  end

  it "deletes no more files than were confirmed, even if more are moved meanwhile" do
    run
    more = nil
    moving = lambda do |*|
      next if more

      more = create_files(1, "encrypted")
      local.upload(more.first, StringIO.new(text_of(0)))
    end
    ActiveSupport::Notifications.subscribed(moving, "service_delete.active_storage") { run(CONFIRM: "3") }
    expect(more.count { |key| local.exist?(key) }).to eq(1)
  end

  it "counts each old file of a file that was moved several times" do
    ActiveStorage::Blob.delete_all
    blob = blob_of("12345", "a.txt")
    names = %w[encrypted published rotated]
    names.each_cons(2) { |from, to| EncryptedS3Service::Migration.new(from: from, to: to).run }
    wanted = { FROM: "published", TO: "rotated" }
    expect(run(**wanted, CONFIRM: "1")).to be(false)
    expect(output.string).to include("DELETE=true would delete 2 old files (10 Bytes) in published.")
    expect(run(**wanted, CONFIRM: "2")).to be(true)
    expect(output.string).to include("2 files (10 Bytes) deleted")
    expect(server.list(bucket)).to include(blob.reload.key)
  end

  it "refuses a number without DELETE, and invalid numbers" do
    expect { run(DELETE: "false", CONFIRM: "3") }
      .to raise_error(EncryptedS3Service::ConfigurationError, /DELETE is not set/)
    expect { run(CONFIRM: "all") }
      .to raise_error(EncryptedS3Service::ConfigurationError, "CONFIRM must be a number of at least 0.")
  end

  # The file of a run for `RETRY`.
  def file_of(blob)
    @folder ||= Dir.mktmpdir
    File.join(@folder, "failures").tap { |path| File.write(path, "#{blob.id}\tfailed\tblob #{blob.id}: why\n") }
  end

  after { FileUtils.rm_rf(@folder) if @folder }
end
