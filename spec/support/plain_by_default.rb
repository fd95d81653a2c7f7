# frozen_string_literal: true

# The default service does not encrypt, as in an application that encrypts the files of some customers only.
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

  # Stores a file on the current service.
  def store(text = "what a customer uploads")
    ActiveStorage::Blob.create_and_upload!(io: StringIO.new(text), filename: "a.txt", identify: false)
  end

  # The name of the service for a new file.
  def place = ActiveStorage::Blob.new.service_name

  # Whether the bucket contains the file, encrypted.
  def encrypted_in_bucket?(blob, text) = stored(blob.key).last != text && stored_plaintext(blob.key) == text
end
