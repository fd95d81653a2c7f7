# frozen_string_literal: true

module EncryptedS3Service
  class Migration
    # A row of the table of {FormerKeys}: `blob_id` (a String, for blob ids of any type), `service_name` (of the service
    # that has the old file), `key`, `byte_size`, and `deleting_since` (when its deletion began, or nil).
    # @api private
    class FormerKey < ActiveStorage::Record
      self.table_name = FormerKeys::TABLE
      # A scope of all of Active Storage's models is for rows of another kind.
      self.default_scopes = []
    end
  end
end
