# frozen_string_literal: true

require_relative "../rails_helper"
require_relative "../support/dummy_process"
require_relative "../support/plain_by_default"

# A mirror encrypts if all its services do.
RSpec.describe EncryptedS3Service::MixedMirrors do
  include_context "with an application that stores in plaintext by default"

  def allow_plaintext_in(*names)
    EncryptedS3Service.settings.plaintext_mirrors = names
    yield
  ensure
    EncryptedS3Service.settings.plaintext_mirrors = nil
  end

  def encrypting(*names) = names.select { |name| EncryptedS3Service.encrypts?(name) }

  it "knows which services encrypt: a mirror does if all of its parts do, at any depth" do
    all = %i[encrypted inheriting doubled nested mirrored mirrored_elsewhere mirrored_from_disk nested_with_disk local]
    expect(encrypting(*all)).to eq(%i[encrypted inheriting doubled nested])
    expect(EncryptedS3Service.encrypts?(nil)).to be(false)
    expect { EncryptedS3Service.encrypts?(:nowhere) }.to raise_error(EncryptedS3Service::ConfigurationError)
    allow_plaintext_in(:mirrored) { expect(encrypting(:mirrored)).to be_empty }
  end

  it "lists mirrors that encrypt in part, and their parts that get plaintext" do
    problems = described_class.problems
    expect(problems.map { |problem| problem[/`(\w+)`/, 1] })
      .to contain_exactly("mirrored", "mirrored_elsewhere", "mirrored_from_disk", "nested_with_disk")
    expect(problems.first).to eq(
      "The mirror `mirrored` encrypts only in part: plaintext goes to `local`. Make all of its parts EncryptedS3 " \
      "services. During a migration, list the mirror in config.encrypted_s3_service.plaintext_mirrors."
    )
  end

  it "does not report a mirror that is listed" do
    allow_plaintext_in(:mirrored, "nested_with_disk") do
      expect(described_class.problems.grep(/`(mirrored|nested_with_disk)`/)).to be_empty
      expect(described_class.problems.size).to eq(2)
    end
  end

  it "reports a mirror that contains itself, or a service that does not exist" do
    entries = EncryptedS3Service::ServiceEntries.new(
      ring: { service: "Mirror", primary: "other", mirrors: [] },
      "other" => { "service" => "Mirror", "primary" => "ring", "mirrors" => [] },
      lost: { service: "Mirror", primary: "nowhere", mirrors: [] }
    )
    expect { entries.parts(:ring) }.to raise_error(EncryptedS3Service::ConfigurationError, /`ring` contains itself/)
    expect { entries.parts(:lost) }.to raise_error(EncryptedS3Service::ConfigurationError, /`nowhere`, .*`lost`/)
  end

  it "does not stop the boot because of a mirror that cannot be used" do
    entries = EncryptedS3Service::ServiceEntries.new(lost: { service: "Mirror", primary: "nowhere", mirrors: [] })
    expect(described_class.problems(entries)).to be_empty
  end

  it "loads no client of a cloud for the check" do
    entries = EncryptedS3Service::ServiceEntries.new(
      moving: { service: "Mirror", primary: "amazon", mirrors: %w[encrypted google] },
      amazon: { service: "S3", bucket: "b" }, google: { service: "gcs", bucket: "b" },
      encrypted: { service: "encrypted_s3", bucket: "b" }
    )
    expect(described_class.problems(entries)).to match([/`moving` encrypts only in part: .*to `amazon`, `google`\./])
    expect($LOADED_FEATURES.grep(/google.cloud/)).to be_empty
  end

  it "are reported at boot" do
    printed, = RubyProcess.run(<<~RUBY)
      require "#{File.expand_path("../dummy/config/application", __dir__)}"
      Rails.application.config.logger = Logger.new($stdout, level: :warn)
      Rails.application.config.encrypted_s3_service.plaintext_mirrors = %i[mirrored_from_disk]
      Rails.application.initialize!
    RUBY
    expect(printed).to match(/WARN.*encrypted_s3_service: The mirror `mirrored` encrypts only in part: .*`local`/)
    expect(printed).not_to include("mirrored_from_disk")
  end

  describe "for a customer whose files are encrypted" do
    let(:firm) do
      Class.new(Organisation) do
        def self.name = "Firm"
        encrypts_files_with :mirrored
      end.new
    end

    it "are refused, in a block and by the attribute, and nothing is stored" do
      before = ActiveStorage::Blob.count
      refusal = [EncryptedS3Service::ConfigurationError, /files of Firm.*`mirrored` encrypts only in part: .*`local`/]
      expect { firm.with_s3_settings { store } }.to raise_error(*refusal)
      expect { Current.set(organisation: firm) { store } }.to raise_error(*refusal)
      expect(ActiveStorage::Blob.count).to eq(before)
    end

    it "are accepted if the application lists them" do
      allow_plaintext_in(:mirrored) { expect(firm.with_s3_settings { place }).to eq("mirrored") }
    end
  end

  it "are still required for the customer's files" do
    EncryptedS3Service.with_service(:mirrored) do
      plain = ActiveStorage::Blob.create_and_upload!(io: StringIO.new("x"), filename: "x", service_name: :local)
      expect(Contract.new(note: plain.signed_id)).not_to be_valid
      expect(Contract.new(note: store.signed_id)).to be_valid
    end
  end

  describe "and the job that mirrors" do
    before(:context) { server.create_bucket("#{bucket}-elsewhere") }
    before { clear_enqueued_jobs }

    it "copies a file of any mirror, not only of the default service" do
      blobs = [EncryptedS3Service.with_service(:doubled) { store("by a block") },
               ActiveStorage::Blob.create_and_upload!(io: StringIO.new("by name"), filename: "n",
                                                      service_name: :doubled)]
      perform_enqueued_jobs
      elsewhere = ActiveStorage::Blob.services.fetch(:elsewhere)
      expect(blobs.map { |blob| elsewhere.download(blob.key) }).to eq(["by a block", "by name"])
    end
  end
end
