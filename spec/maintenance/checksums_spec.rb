# frozen_string_literal: true

require_relative "../active_storage_helper"
require_relative "../support/task_helpers"
require "encrypted_s3_service/maintenance/migration/command"
require "encrypted_s3_service/maintenance/rotation"

# Rows of an import: by Paperclip, CarrierWave, a script over a bucket's listing.
RSpec.describe EncryptedS3Service::Migration, :active_storage do
  include TaskHelpers

  before { forget_all_files }

  let(:data) { random_bytes(100_000) }
  let(:right) { md5(data) }

  def hex(name = "MD5", text = data) = OpenSSL::Digest.hexdigest(name, text)

  def base64(name, text = data) = OpenSSL::Digest.base64digest(name, text)

  def imported(checksum, size: data.bytesize, text: data)
    blob_of(text, "a.bin", service_name: "local").tap do |blob|
      blob.update_columns(checksum: checksum, byte_size: size, content_type: nil)
    end
  end

  def migrate(**) = described_class.new(from: :local, to: :encrypted, **).run

  def reasons(result) = result.failures.map(&:reason)

  {
    "the MD5 in hex" => ->(spec) { spec.hex },
    "the MD5 in capital hex" => ->(spec) { spec.hex.upcase },
    "the MD5 in hex, named" => ->(spec) { "md5:#{spec.hex}" },
    "the MD5 in Base64, named" => ->(spec) { "md5:#{spec.right}" },
    "the ETag of one request" => ->(spec) { "\"#{spec.hex}\"" },
    "a weak ETag" => ->(spec) { "W/\"#{spec.hex}\"" },
    "the MD5 with a line end" => ->(spec) { "#{spec.right}\n" },
    "the SHA-256 in hex" => ->(spec) { spec.hex("SHA256") },
    "the SHA-1 in hex" => ->(spec) { spec.hex("SHA1") },
    "the SHA-512 in hex" => ->(spec) { spec.hex("SHA512") },
    "the ETag as XML writes it" => ->(spec) { "&quot;#{spec.hex}&quot;" },
    "the MD5 in Base64 for addresses" => ->(spec) { spec.right.tr("+/", "-_").delete("=") },
    "the MD5 in pairs of hex" => ->(spec) { spec.hex.scan(/../).join(":") },
    "the MD5 in hex, named with an equals sign" => ->(spec) { "md5=#{spec.hex}" },
    "the MD5 in Base64, named in braces" => ->(spec) { "{MD5}#{spec.right}" },
    "the SHA-256 as web pages write it" => ->(spec) { "sha256-#{spec.base64("SHA256")}" },
    "the SHA-1 in Base64" => ->(spec) { spec.base64("SHA1") }
  }.each do |name, checksum|
    it "moves a file with #{name}, and writes the checksum that Active Storage would have written" do
      blob = imported(checksum.call(self))
      expect(migrate(delete: true)).to have_attributes(moved: 1, removed: 1, corrected: 1, failures: [])
      expect(blob.reload).to have_attributes(service_name: "encrypted", checksum: right, download: data)
      blob.open { |file| expect(file.read).to be_bytes(data) }
    end

    it "does not move another file with #{name}" do
      blob = imported(checksum.call(self), text: random_bytes(100_000, 2))
      expect(reasons(migrate)).to match([/does not match the checksum in its row/])
      expect(blob.reload.service_name).to eq("local")
    end
  end

  it "leaves a right checksum unchanged, in each digest that a service may use" do
    checksums = [right, base64("SHA256"), base64("SHA512"), "sha256:#{base64("SHA256")}"]
    blobs = checksums.map { |checksum| imported(checksum) }
    expect(migrate).to have_attributes(moved: 4, corrected: 0, failures: [])
    expect(blobs.map { |blob| blob.reload.checksum }).to eq(checksums)
  end

  # A Disk or S3 service compares an MD5 only, or the one digest that it is set to, and refuses every other checksum.
  it "gives a file for a plain service a checksum that this service compares" do
    checksums = [right, base64("SHA256"), base64("SHA512"), "sha256:#{base64("SHA256")}"]
    blobs = checksums.map { |checksum| imported(checksum) }
    migrate
    back = described_class.new(from: :encrypted, to: :local).run
    expect(back).to have_attributes(moved: 4, corrected: 3, failures: [])
    expect(blobs.each(&:reload)).to all(have_attributes(service_name: "local", checksum: right))
    expect(blobs.map { |blob| blob.open(&:read) }).to all(be_bytes(data))
  end

  it "gives no checksum to a part of a mirror that compares another one, and reads the copy back" do
    blob = imported("sha256:#{base64("SHA256")}")
    migrate
    mirrored = described_class.new(from: :encrypted, to: :mirrored).run
    expect(mirrored).to have_attributes(moved: 1, failures: [])
    parts = %i[encrypted local].map { |name| ActiveStorage::Blob.services.fetch(name).download(blob.reload.key) }
    expect(parts).to all(be_bytes(data))
    blob.open { |file| expect(file.read).to be_bytes(data) }
  end

  # A Base64 text may begin like a weak ETag.
  it "does not take Base64 for an ETag" do
    text = (0..).lazy.map { |number| "text #{number}" }.find { |candidate| md5(candidate).start_with?("W/") }
    imported(md5(text), text: text, size: text.bytesize)
    expect(migrate).to have_attributes(moved: 1, corrected: 0, failures: [])
  end

  describe "a checksum that cannot be compared with the file" do
    nothing = { "the ETag of several parts" => "9b2cf535f27731c974343645a3985328-3",
                "that in quotes" => '"9b2cf535f27731c974343645a3985328-3"', "a placeholder" => "placeholder",
                "a dash" => "-", "noughts" => "0" * 32, "noughts in Base64" => ["\0" * 16].pack("m0"),
                "the MD5 of nothing" => ["d41d8cd98f00b204e9800998ecf8427e"].pack("H*").then { |md5| [md5].pack("m0") },
                "the same in hex" => "d41d8cd98f00b204e9800998ecf8427e", "a UUID" => SecureRandom.uuid }

    nothing.each do |name, checksum|
      it "fails and names the option, which then corrects it: #{name}" do
        blob = imported(checksum)
        expect(reasons(migrate)).to match([/ETag or a placeholder.* REPAIR_CHECKSUMS=true/])
        expect(blob.reload).to have_attributes(service_name: "local", checksum: checksum)
        expect(migrate(repair_checksums: true)).to have_attributes(moved: 1, corrected: 1, failures: [])
        expect(blob.reload).to have_attributes(service_name: "encrypted", checksum: right, download: data)
      end
    end

    it "is corrected if it is an ETag of a store that encrypts by itself" do
      blob = imported("\"#{hex("MD5", "another")}\"")
      expect(reasons(migrate)).to match([/does not match the checksum in its row. REPAIR_CHECKSUMS=true/])
      expect(migrate(repair_checksums: true)).to have_attributes(moved: 1, corrected: 1)
      expect(blob.reload.checksum).to eq(right)
    end

    it "may be missing: the file is moved, and gets a checksum only on demand" do
      blobs = [nil, ""].map { |checksum| imported(checksum) }
      expect(migrate).to have_attributes(moved: 2, corrected: 0, failures: [])
      expect(blobs.map { |blob| blob.reload.checksum }).to eq([nil, ""])
      repaired = imported(nil)
      composed = imported(nil).tap { |blob| blob.update_columns(metadata: { "composed" => true }) }
      expect(migrate(repair_checksums: true)).to have_attributes(moved: 2, corrected: 1)
      expect([repaired, composed].map { |blob| blob.reload.checksum }).to eq([right, nil])
    end
  end

  it "never moves a file that differs from the MD5 of its row, with any option" do
    blobs = [md5("another"), hex("MD5", "another"), hex("SHA256", "another")].map { |checksum| imported(checksum) }
    expect(migrate(repair_checksums: true)).to have_attributes(moved: 0, failed: 3)
    expect(blobs.map { |blob| blob.reload.service_name }.uniq).to eq(["local"])
  end

  describe "a size" do
    it "that is wrong is corrected if the checksum proves the file" do
      blobs = [0, 1, 99_999, 100_001, -1].map { |size| imported(hex, size: size) }
      blobs << imported(right, size: 7)
      expect(migrate(delete: true)).to have_attributes(moved: 6, removed: 6, corrected: 6, bytes: 600_000, failures: [])
      expect(blobs.map { |blob| blob.reload.byte_size }.uniq).to eq([100_000])
      expect(blobs.map(&:checksum).uniq).to eq([right])
    end

    it "that is wrong fails without a checksum, unless it shall be corrected" do
      blobs = [nil, "placeholder"].map { |checksum| imported(checksum, size: 5) }
      expect(reasons(migrate)).to all(match(/has 100000 bytes, but its row says 5. REPAIR_CHECKSUMS=true/))
      expect(migrate(repair_checksums: true)).to have_attributes(moved: 2, corrected: 2, failures: [])
      expect(blobs.map { |blob| blob.reload.byte_size }).to eq([100_000, 100_000])
    end

    it "may be missing if the column allows it" do
      connection = ActiveStorage::Blob.connection
      connection.change_column_null(:active_storage_blobs, :byte_size, true)
      blobs = [imported(hex, size: nil), imported(md5(""), size: nil)]
      expect(migrate(dry_run: true)).to have_attributes(moved: 2)
      expect(migrate(repair_checksums: true, delete: true)).to have_attributes(moved: 2, removed: 2, failures: [])
      expect(blobs.map { |blob| blob.reload.byte_size }).to eq([100_000, 100_000])
    ensure
      ActiveStorage::Blob.delete_all
      connection.change_column_null(:active_storage_blobs, :byte_size, false)
    end
  end

  it "is checked on the copy too, repaired or not" do
    imported("placeholder")
    spoiling = lambda do |*, payload|
      next if payload[:service] != "EncryptedS3" || payload[:key].start_with?("migration-probe")

      ActiveStorage::Blob.services.fetch(:encrypted).client.upload(payload[:key], StringIO.new("another"))
    end
    result = ActiveSupport::Notifications.subscribed(spoiling, "service_upload.active_storage") do
      migrate(repair_checksums: true)
    end
    expect(result.moved).to eq(0)
    expect(reasons(result)).to match([/The copy in encrypted differs from its source/])
  end

  it "is corrected by REPAIR_CHECKSUMS=true" do
    imported("placeholder")
    output = StringIO.new
    environment = { "FROM" => "local", "TO" => "encrypted", "REPAIR_CHECKSUMS" => "true" }
    expect(described_class::Command.new(environment, output: output).run).to be(true)
    expect(output.string).to include("1 row got a corrected checksum or size.")
  end

  it "does not prevent a file from being encrypted again" do
    settings = { service: "EncryptedS3", **TestStore.settings, commitment_policy: "require_encrypt_allow_decrypt" }
    resolving("committing" => settings) do
      blobs = [hex, hex("SHA256"), hex("SHA1"), "placeholder", nil].map do |checksum|
        blob_of(data, "a.bin", service_name: "encrypted").tap do |blob|
          blob.update_columns(checksum: checksum, service_name: "committing")
        end
      end
      expect(EncryptedS3Service::Rotation.new(:committing, reencrypt: true).run)
        .to have_attributes(outcomes: { reencrypted: 5 }, failures: [])
      expect(blobs.map(&:download)).to all(be_bytes(data))
    end
  end
end
