# frozen_string_literal: true

# The application's own choice is a service that does not encrypt, as where only some customers are to be encrypted.
RSpec.shared_context "with an application that stores in plaintext by default" do
  let(:customer) { Organisation.create!(name: "encrypted", encrypted: true) }
  let(:other_customer) { Organisation.create!(name: "plain", encrypted: false) }

  around do |example|
    before = ActiveStorage::Blob.service
    ActiveStorage::Blob.service = ActiveStorage::Blob.services.fetch(:local)
    example.run
  ensure
    ActiveStorage::Blob.service = before
  end

  # Stores a file where new files go.
  def store(text = "what a customer uploads")
    ActiveStorage::Blob.create_and_upload!(io: StringIO.new(text), filename: "a.txt", identify: false)
  end

  # Where a new file would go, without storing one.
  def place = ActiveStorage::Blob.new.service_name

  # Whether the bucket has it and has it encrypted.
  def encrypted_in_bucket?(blob, text) = stored(blob.key).last != text && stored_plaintext(blob.key) == text
end
