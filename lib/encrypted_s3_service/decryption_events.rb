# frozen_string_literal: true

require "active_support/notifications"

module EncryptedS3Service
  # Tells whoever keeps records that files are read, by ActiveSupport::Notifications:
  #
  # - `decrypt.encrypted_s3_service`, for every time an object is decrypted, also when that fails: `key`, `service` (its
  #   name in `storage.yml`), `range` (nil for the whole), `format`, `key_id`, `current` and `size` (bytes of the whole
  #   plaintext), the last four as far as it got (see {Client#download}). Rails adds `exception` to what failed.
  # - `key_rotation_needed.encrypted_s3_service`, when that was done with another key than the one that new objects get:
  #   `key`, `service`, `format`, `key_id`.
  #
  # Neither holds anything of the content, nor of a key but its id.
  #
  #     ActiveSupport::Notifications.subscribe("decrypt.encrypted_s3_service") do |event|
  #       AuditRecord.create!(person: Current.person, **event.payload.slice(:key, :service, :key_id, :size))
  #     end
  module DecryptionEvents
    # The event for every decryption.
    DECRYPT = "decrypt.encrypted_s3_service"
    # The event for an object under a key that is not the writing one.
    ROTATION_NEEDED = "key_rotation_needed.encrypted_s3_service"

    module_function

    # Announces what the block decrypts.
    # @param key [String] of the object
    # @param service [Symbol, nil]
    # @param range [Range<Integer>, nil]
    # @yieldparam report [Hash] to be told what {Client#download} tells its `report`
    # @return [Object] what the block returns
    # @api private
    def decrypt(key, service:, range: nil, &)
      payload = { key: key, service: service, range: range }
      result = ActiveSupport::Notifications.instrument(DECRYPT, payload, &)
      if payload[:current] == false
        ActiveSupport::Notifications.instrument(ROTATION_NEEDED, payload.slice(:key, :service, :format, :key_id))
      end
      result
    end
  end
end
