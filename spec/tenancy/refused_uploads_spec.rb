# frozen_string_literal: true

require_relative "../rails_helper"
require_relative "../support/plain_by_default"

# A client has sent a file to the default service, which stores in plaintext, and passes it to an attribute whose files
# are encrypted.
RSpec.describe EncryptedS3Service::RefusedUploads do
  include_context "with an application that stores in plaintext by default"

  before { clear_enqueued_jobs }

  let(:text) { "sent in plaintext" }

  # The state after a direct upload.
  def uploaded(service_name: :local)
    blob = ActiveStorage::Blob.create_before_direct_upload!(
      filename: "a.txt", byte_size: text.bytesize, checksum: md5(text), content_type: "text/plain", service_name:
    )
    blob.service.upload(blob.key, StringIO.new(text))
    blob
  end

  # The row and the file after the jobs have run, if they still exist.
  def left_of(blob)
    perform_enqueued_jobs
    [ActiveStorage::Blob.exists?(blob.id), blob.service.exist?(blob.key)]
  end

  def purged = [false, false]

  def kept = [true, true]

  it "are purged when a record is not saved with them, for every method that saves" do
    stored = Contract.create!
    ways = [
      ->(id) { Contract.create(contract_pdf: id) },
      ->(id) { Contract.create!(contract_pdf: id) },
      ->(id) { stored.update(contract_pdf: id) },
      ->(id) { stored.update!(appendices: [id]) },
      ->(id) { stored.contract_pdf.attach(id) },
      ->(id) { Contract.transaction { Contract.new(contract_pdf: id).save } },
      ->(id) { customer.with_s3_settings { stored.update(note: id) } },
      ->(id) { Current.set(organisation: customer) { Contract.create(note: id) } }
    ]
    left = ways.map do |way|
      blob = uploaded
      begin
        way.call(blob.signed_id)
      rescue ActiveRecord::RecordInvalid
        nil
      end
      left_of(blob)
    end
    expect(left).to all(eq(purged))
  end

  it "are purged when the record belongs to another that is saved" do
    blob = uploaded
    firm = Organisation.new(name: "firm")
    firm.define_singleton_method(:contract) { @contract ||= Contract.new(contract_pdf: blob.signed_id) }
    firm.singleton_class.validate { errors.add(:base, "contract") unless contract.valid? }
    expect(firm.save).to be(false)
    expect(left_of(blob)).to eq(purged)
  end

  it "stay when code only calls valid?, and can be saved in the right service",
     if: Contract.method_defined?(:scan) do
    blob = uploaded
    contract = Contract.new(note: blob.signed_id)
    expect(customer.with_s3_settings { contract.valid? }).to be(false)
    other_customer.with_s3_settings { contract.save! }
    expect(left_of(blob)).to eq(kept)
  end

  it "stay when they are attached before the job runs" do
    blob = uploaded
    Contract.create(contract_pdf: blob.signed_id)
    expect(enqueued_jobs.size).to eq(1)
    Contract.create!(flyer: blob.signed_id)
    expect(left_of(blob)).to eq(kept)
  end

  it "are never files of a record, of the application, old files, or encrypted files" do
    attached = uploaded.tap { |blob| Contract.create!(flyer: blob.signed_id) }
    made = store("an export")
    composed = ActiveStorage::Blob.compose([made, made], filename: "whole.txt")
    old = uploaded.tap { |blob| blob.update_columns(created_at: 25.hours.ago) }
    encrypted = uploaded(service_name: :published)
    [attached, made, composed, old, encrypted].each do |blob|
      expect(Contract.create(contract_pdf: blob.signed_id)).not_to be_persisted
      expect(left_of(blob)).to eq(kept), blob.inspect
    end
  end

  it "stay when the record is not saved for another reason" do
    blob = uploaded
    contract = Contract.new(flyer: blob.signed_id)
    contract.singleton_class.validate { errors.add(:base, "no") }
    expect(contract.save).to be(false)
    expect(left_of(blob)).to eq(kept)
  end

  it "do not prevent the form from being shown again when the queue fails" do
    allow(ActiveStorage::PurgeJob).to receive(:perform_later).and_raise(Errno::ECONNREFUSED)
    expect(Contract.create(contract_pdf: uploaded.signed_id)).not_to be_persisted
  end
end
