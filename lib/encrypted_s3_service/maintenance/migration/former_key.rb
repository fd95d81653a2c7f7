# frozen_string_literal: true

module EncryptedS3Service
  class Migration
    # A row of the table of {FormerKeys}: `blob_id` (a String, whatever the ids of blobs are), `service_name` (of the
    # service that has the old file), `key`, `byte_size`, and `deleting_since` (since when it is being deleted, or nil).
    # @api private
    class FormerKey < ActiveStorage::Record
      self.table_name = FormerKeys::TABLE
    end
  end
end
