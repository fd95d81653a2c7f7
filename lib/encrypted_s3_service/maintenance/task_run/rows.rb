# frozen_string_literal: true

module EncryptedS3Service
  module TaskRun
    # Short questions to the database. A connection is held for the time of a query, not for that of a request to the
    # store, and no query is answered from the cache of queries, in which a row that is gone by now would still be.
    # @api private
    module Rows
      module_function

      # @yield with a connection
      # @return [Object] what the block returns
      def connected(&)
        ActiveStorage::Blob.connection_pool.with_connection { ActiveStorage::Blob.uncached(&) }
      end

      # @param blob [ActiveStorage::Blob]
      # @return [Boolean] whether its row is still there and names the same service and key
      def there?(blob)
        connected { ActiveStorage::Blob.exists?(id: blob.id, service_name: blob.service_name, key: blob.key) }
      end

      # Changes a row by what is in it, if it is still there. It is locked by a write first, since SQLite fails when a
      # transaction that began with reading wants to write after another one has. Nothing else may be done in the
      # block: no lock is held over a request to a store.
      # @param row [ActiveRecord::Relation] of one blob
      # @yieldparam blob [ActiveStorage::Blob] as it is now
      # @yieldreturn [Object]
      # @return [Object, nil] what the block returns; nil when there is no such row
      def locked(row)
        connected do
          ActiveStorage::Blob.transaction do
            yield row.first if row.update_all("byte_size = byte_size") == 1
          end
        end
      end

      # Rows of direct uploads that were announced and never finished have no object. Every application has some: they
      # are no loss, and a task that failed because of them would always fail.
      # @param blob [ActiveStorage::Blob] without an object
      # @return [Boolean] whether nothing is attached to it, so that nobody misses the object
      def unfinished_upload?(blob)
        connected { !ActiveStorage::Attachment.exists?(blob_id: blob.id) }
      end
    end
  end
end
