# frozen_string_literal: true

module EncryptedS3Service
  class Migration
    # The keys that a blob had before it was moved within one place, kept in its metadata until the old files are
    # deleted: a process may be killed between the two, and a file that no row names would stay for ever.
    # @api private
    module FormerKeys
      # The name of the entry in a blob's metadata.
      NAME = "encrypted_s3_service_former_keys"

      module_function

      # @param blob [ActiveStorage::Blob]
      # @return [Array<String>]
      def of(blob) = Array(blob.metadata[NAME])

      # Changes a row by what is in it, if it is still there. Locked by a write, since SQLite fails when a transaction
      # that has begun with reading wants to write after another one has.
      # @param row [ActiveRecord::Relation] of one blob
      # @yieldparam blob [ActiveStorage::Blob]
      # @yieldreturn [Hash] its new columns
      # @return [Boolean] whether it was there
      def change(row)
        ActiveStorage::Blob.transaction do
          next false unless row.update_all("byte_size = byte_size") == 1

          row.update_all(yield(row.first)) == 1
        end
      end

      # @param blob [ActiveStorage::Blob]
      # @param key [String]
      # @return [Hash] the metadata with the key
      def added(blob, key) = blob.metadata.merge(NAME => (of(blob) + [key]).uniq)

      # @param blob [ActiveStorage::Blob]
      # @param keys [Array<String>]
      # @return [Hash] the metadata without the keys
      def removed(blob, keys)
        left = of(blob) - keys
        left.empty? ? blob.metadata.except(NAME) : blob.metadata.merge(NAME => left)
      end
    end
  end
end
