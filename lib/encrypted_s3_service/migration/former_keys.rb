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
