# frozen_string_literal: true

# The addresses of decrypted files and of direct uploads, beside Active Storage's own.
if EncryptedS3Service::Engine.active_storage? && ActiveStorage.draw_routes
  Rails.application.routes.draw do
    scope ActiveStorage.routes_prefix do
      get "/encrypted_s3/:token/*filename" => "encrypted_s3_service/blobs#show", as: :rails_encrypted_s3_blob
      put "/encrypted_s3/:token" => "encrypted_s3_service/direct_uploads#update", as: :rails_encrypted_s3_direct_upload
    end
  end
end
