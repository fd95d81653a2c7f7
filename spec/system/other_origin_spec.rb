# frozen_string_literal: true

require_relative "../system_helper"

# For a browser, `localhost` and `127.0.0.1` are two origins.
RSpec.describe "A page of another origin, with Rails' own JavaScript", browser: true do
  let(:data) { "sent from elsewhere" }

  around do |example|
    ActionController::Base.allow_forgery_protection = true
    page.server.boot
    example.run
  ensure
    ActionController::Base.allow_forgery_protection = false
    EncryptedS3Service.settings.cors_origins = nil
  end

  def application = "http://localhost:#{page.server.port}"

  # Sends a file to the application and reads it there.
  # @return [Hash] the `refusal` of the upload, or the blob's `key` and the `text` that was read
  def upload_and_read
    visit "/documents/new"
    evaluate_async(<<~JAVASCRIPT, application, data)
      const [application, data] = arguments
      const file = new File([data], "note.txt", { type: "text/plain" })
      const upload = new ActiveStorage.DirectUpload(file, `${application}/rails/active_storage/direct_uploads`)
      upload.create(async (error, blob) => {
        if (error) return done({ refusal: String(error) })
        const path = `/rails/active_storage/blobs/redirect/${blob.signed_id}/note.txt`
        done({ key: blob.key, text: await (await fetch(application + path)).text() })
      })
    JAVASCRIPT
  end

  it "sends a file and reads it if the origin is listed" do
    EncryptedS3Service.settings.cors_origins = "http://127.0.0.1:#{page.server.port}"
    result = upload_and_read
    expect(result).to eq("key" => result["key"], "text" => data)
    expect(stored_plaintext(result["key"])).to eq(data)
  end

  it "cannot send a file if another origin is listed" do
    EncryptedS3Service.settings.cors_origins = "http://127.0.0.1:1"
    expect { expect(upload_and_read).to include("refusal" => start_with("Error creating Blob")) }
      .not_to change(ActiveStorage::Blob, :count)
  end
end
