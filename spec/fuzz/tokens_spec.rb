# frozen_string_literal: true

require_relative "../rails_helper"
require_relative "../support/mutations"

RSpec.describe "Any token", type: :request do
  include Mutations

  token = EncryptedS3Service::Serving::Token
  let(:payload) { { key: "k", service_name: "encrypted", filename: "a.txt", expires_at: 4_000_000_000 } }

  # Another spelling of the same bytes in base64 is the same token.
  it "opens to its content, or not at all" do
    made = Array.new(3) { token.generate(payload, purpose: token::BLOB, expires_in: nil) }
    others = [token.generate({ key: "other" }, purpose: token::DIRECT_UPLOAD, expires_in: nil),
              token.generate(payload, purpose: token::BLOB, expires_in: -1), "", "--", "a--b--c"]
    mutations(made + others, runs: 20_000) do |text|
      opened = token.verify(text, purpose: token::BLOB)
      expect(opened).to be_nil.or(eq(payload))
      expect(opened).to eq(payload) if made.include?(text)
      expect(opened).to be_nil if others.include?(text)
    end
  end

  it "of a form names its service, or is refused" do
    uploads = EncryptedS3Service::DirectUploads
    made = [uploads.token(:encrypted), uploads.token(:encrypted, expires_in: false)]
    mutations(made + [ActiveStorage.verifier.generate({ "service" => "local" }), ""], runs: 20_000) do |text|
      service = uploads.service_of(text, tenant: nil)
      expect(service).to eq(:encrypted)
    rescue EncryptedS3Service::DirectUploadRefusedError
      expect(made).not_to include(text)
    end
  end

  it "in an address returns its file, or 404" do
    data = SecureRandom.hex
    blob = ActiveStorage::Blob.create_and_upload!(io: StringIO.new(data), filename: "a.txt",
                                                  identify: false, service_name: "encrypted")
    path = URI(ActiveStorage::Current.set(url_options: { host: "www.example.com" }) { blob.url }).path
    before, text, after = path.match(%r{\A(.*/encrypted_s3/)([^/]+)(/.*)\z}).captures
    mutations([text], runs: 300) do |changed|
      get "#{before}#{ERB::Util.url_encode(changed)}#{after}"
      expect(response.status).to be_in([200, 400, 404])
      expect(response.body == data).to eq(response.status == 200)
    end
  end
end
