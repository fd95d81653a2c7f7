# frozen_string_literal: true

require "active_storage/service/encrypted_s3_service"

module ActiveStorage
  class Service
    # A service of the application's own that encrypts.
    class InheritingService < EncryptedS3Service
    end
  end
end
