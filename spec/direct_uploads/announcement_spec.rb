# frozen_string_literal: true

require_relative "../rails_helper"

# Clients can set the metadata of a blob, and Active Storage and this gem read them.
RSpec.describe EncryptedS3Service::DirectUploads::Announcement, type: :request do
  let(:data) { "some bytes" }
  let(:hostile) do
    { analyzed: true, "identified" => true, composed: true, encrypted_s3_service_former_keys: ["victim"],
      "encrypted_s3_anything" => 1, "Encrypted-S3-Place" => 1,
      custom: { encrypted_s3_service_former_keys: ["victim"], list: [{ encrypted_s3_x: 1, a: 1 }], colour: "red" },
      width: 5 }
  end
  let(:harmless) { { "custom" => { "list" => [{ "a" => 1 }], "colour" => "red" }, "width" => 5 } }

  # Rails before 7.2.3.1, 8.0.4.1 and 8.1.2.1 accepts everything from a client.
  def with_an_older_rails
    if ActiveStorage::Blob.respond_to?(:filter_metadata, true)
      allow(ActiveStorage::Blob).to receive(:filter_metadata) { |metadata| metadata }
    end
    yield
  end

  def announce(metadata)
    blob = { filename: "a.txt", content_type: "text/plain", checksum: md5(data), byte_size: data.bytesize,
             metadata: metadata }
    post rails_direct_uploads_path, params: { blob: blob }, as: :json
    expect(response).to have_http_status(:ok)
    ActiveStorage::Blob.find_signed!(response.parsed_body["signed_id"])
  end

  it "removes metadata that a client may not set, on every Rails version, and keeps the rest" do
    with_an_older_rails { expect(announce(hostile).metadata.to_h).to eq(harmless) }
  end

  it "removes it from form parameters too" do
    with_an_older_rails do
      post rails_direct_uploads_path, params: { blob: { filename: "a", byte_size: 1, checksum: md5("x"),
                                                        metadata: { composed: "1", custom: { encrypted_s3_x: "1" } } } }
    end
    expect(ActiveStorage::Blob.last.metadata.to_h).to eq("custom" => {})
  end

  it "removes it in an application's own controller, in every form in which that passes it on" do
    forms = [hostile, hostile.deep_stringify_keys, hostile.with_indifferent_access,
             ActionController::Parameters.new(hostile), ActionController::Parameters.new(hostile).permit!]
    with_an_older_rails do
      forms.each do |form|
        blob = ActiveStorage::Blob.create_before_direct_upload!(filename: "a", byte_size: 1, checksum: md5("x"),
                                                                metadata: form)
        expect(blob.reload.metadata.to_h).to eq(harmless), form.class.name
      end
    end
  end

  it "accepts missing and invalid metadata" do
    with_an_older_rails do
      expect(announce(nil).metadata.to_h).to eq({})
      expect(announce("composed").metadata.to_h).to eq({})
    end
  end

  it "refuses a blob with entries of the gem, as an attachment with a client's metadata could have" do
    [{ encrypted_s3_service_former_keys: ["victim"] }, { custom: { "encrypted_s3_x" => 1 } }].each do |metadata|
      file = { io: StringIO.new("x"), filename: "a.txt", metadata: metadata }
      expect { ActiveStorage::Blob.create_and_upload!(**file) }
        .to raise_error(ActiveRecord::RecordInvalid, /encrypted_s3_/)
      expect { Document.create!(file: file) }.to raise_error(ActiveRecord::RecordNotSaved)
    end
  end

  it "compares the checksum of a file whose client claims that it has none" do
    blob = with_an_older_rails { announce(composed: true) }
    blob.service.upload(blob.key, StringIO.new("other data"))
    expect { blob.open { raise "opened" } }.to raise_error(ActiveStorage::IntegrityError)
  end

  describe "with limits" do
    def with(**settings)
      given = EncryptedS3Service.settings
      before = settings.keys.to_h { |name| [name, given[name]] }
      given.merge!(settings)
      yield
    ensure
      given.merge!(before)
    end

    def announce_status(bytes)
      post rails_direct_uploads_path, params: { blob: { filename: "a", byte_size: bytes, checksum: md5("x") } }
      response.status
    end

    it "refuses a file above the application's limit, when it is announced and when it is sent" do
      url = nil
      with(direct_upload_limit: 9) do
        expect { expect(announce_status(10)).to eq(413) }.not_to change(ActiveStorage::Blob, :count)
        expect(response.parsed_body["error"]).to include("At most 9 bytes")
        expect(announce_status(9)).to eq(200)
      end
      announce({})
      url, headers = response.parsed_body["direct_upload"].values_at("url", "headers")
      with(direct_upload_limit: 9) { put url, params: data, headers: headers }
      expect(response.status).to eq(413)
      expect(ActiveStorage::Blob.last.service.exist?(ActiveStorage::Blob.last.key)).to be(false)
    end

    it "accepts no file if direct uploads are switched off" do
      announce({})
      url, headers = response.parsed_body["direct_upload"].values_at("url", "headers")
      with(direct_uploads: false) do
        expect { expect(announce_status(1)).to eq(403) }.not_to change(ActiveStorage::Blob, :count)
        expect(response.parsed_body["error"]).to eq("Direct uploads are switched off.")
        put url, params: data, headers: headers
        expect(response.status).to eq(404)
      end
    end
  end
end
