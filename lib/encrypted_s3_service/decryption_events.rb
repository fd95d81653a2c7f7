# frozen_string_literal: true

require "active_support/notifications"

module EncryptedS3Service
  # Notifications (ActiveSupport::Notifications) about decrypted files, for audit logs:
  #
  # - `decrypt.encrypted_s3_service` for every decryption, including failed ones: `key`, `service` (its name in
  #   `storage.yml`), `range` (nil for the whole object), `format`, `key_id`, `current` and `size` (bytes of the whole
  #   plaintext). The last four are missing when the object could not be opened (see {Client#download}). Rails adds
  #   `exception` on failure.
  # - `key_rotation_needed.encrypted_s3_service` when the object was decrypted with another key than the writing key:
  #   `key`, `service`, `format`, `key_id`.
  #
  # Payloads contain no content, and of a key only its id.
  #
  #     ActiveSupport::Notifications.subscribe("decrypt.encrypted_s3_service") do |event|
  #       AuditRecord.create!(person: Current.person, **event.payload.slice(:key, :service, :key_id, :size))
  #     end
  module DecryptionEvents
    # Sent for every decryption.
    DECRYPT = "decrypt.encrypted_s3_service"
    # Sent when an object was decrypted with another key than the writing key.
    ROTATION_NEEDED = "key_rotation_needed.encrypted_s3_service"

    module_function

    # Sends the notifications for the decryption in the block.
    # @param key [String] the object's key
    # @param service [Symbol, nil]
    # @param range [Range<Integer>, nil]
    # @yieldparam report [Hash] passed to {Client#download} as `report`
    # @return [Object] the block's result
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
