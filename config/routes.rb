# frozen_string_literal: true

# Routes of decrypted files and direct uploads, in addition to Active Storage's own.
if EncryptedS3Service::Engine.active_storage? && ActiveStorage.draw_routes
  Rails.application.routes.draw do
    scope ActiveStorage.routes_prefix do
      get "/encrypted_s3/:token/*filename" => "encrypted_s3_service/blobs#show", as: :rails_encrypted_s3_blob
      put "/encrypted_s3/:token" => "encrypted_s3_service/direct_uploads#update", as: :rails_encrypted_s3_direct_upload

      # Preflight requests of pages of other origins, for these routes and for direct uploads.
      preflight = EncryptedS3Service::Serving::CrossOrigin::Preflight
      sent = %w[Content-Disposition Content-MD5 Content-Type X-Requested-With]
      announced = %w[Accept Authorization Content-Type X-CSRF-Token X-Requested-With]
      read = preflight.new(%w[GET HEAD], %w[If-None-Match If-Range Range X-Requested-With])
      match "/encrypted_s3/:token/*filename", to: read, via: :options
      # Rails' own links, which redirect to the above or serve the file.
      match "/blobs/*path", to: read, via: :options
      match "/representations/*path", to: read, via: :options
      match "/encrypted_s3/:token", to: preflight.new(%w[PUT], sent), via: :options
      match "/direct_uploads", to: preflight.new(%w[POST], announced), via: :options
    end
  end
end
