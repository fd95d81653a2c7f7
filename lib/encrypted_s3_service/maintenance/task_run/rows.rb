# frozen_string_literal: true

module EncryptedS3Service
  module TaskRun
    # Short queries to the database. A connection is used for a query, but not held during a request to the store. The
    # query cache is not used, because it could contain a row that no longer exists.
    # @api private
    module Rows
      # Attempts of a transaction that the database rolls back in favour of another one.
      ATTEMPTS = 10
      private_constant :ATTEMPTS

      module_function

      # All blobs. An application's default scope, for example that of a soft delete, hides rows whose files must be
      # processed, and must not be deleted, like all others.
      # @return [ActiveRecord::Relation] of ActiveStorage::Blob
      def blobs = ActiveStorage::Blob.unscoped

      # @yield with a connection
      # @return [Object] the block's result
      def connected(&)
        ActiveStorage::Blob.connection_pool.with_connection { ActiveStorage::Blob.uncached(&) }
      end

      # Runs a statement that changes nothing. A database, role or user with read access only refuses it.
      # @return [void]
      # @raise [ConfigurationError] if rows cannot be changed
      def require_writable
        connected { blobs.where("1 = 0").update_all("byte_size = byte_size") }
      rescue ActiveRecord::ActiveRecordError => e
        raise ConfigurationError, "The rows of #{ActiveStorage::Blob.table_name} cannot be changed " \
                                  "(#{[e.class, *e.cause&.class].join(", ")}). Run the task with a database, role " \
                                  "and user with write access."
      end

      # @param blob [ActiveStorage::Blob]
      # @return [Boolean] whether its row exists and names the same service and key
      def there?(blob)
        connected { blobs.exists?(id: blob.id, service_name: blob.service_name, key: blob.key) }
      end

      # @param blob [ActiveStorage::Blob]
      # @return [Boolean] whether its row was deleted
      def purged?(blob) = connected { !blobs.exists?(blob.id) }

      # Changes a row depending on its contents, if it still exists. The row is locked by a write first, because SQLite
      # fails when a transaction that began with a read writes after another one has. Do nothing else in the block: no
      # lock may be held during a request to a store.
      # The block may be called again; see {repeated}.
      # @param row [ActiveRecord::Relation] of one blob
      # @yieldparam blob [ActiveStorage::Blob] as it is now
      # @yieldreturn [Object]
      # @return [Object, nil] the block's result; nil when there is no such row
      def locked(row)
        repeated do
          ActiveStorage::Blob.transaction do
            yield row.first if row.update_all("byte_size = byte_size") == 1
          end
        end
      end

      # Runs a transaction or a statement, again if the database rolls it back: after a deadlock, or where transactions
      # are serializable.
      # @yield with a connection
      # @return [Object] the block's result
      # @raise [ActiveRecord::TransactionRollbackError] if it is rolled back at each attempt
      def repeated(&)
        attempts = 0
        begin
          attempts += 1
          connected(&)
        rescue ActiveRecord::TransactionRollbackError
          raise if attempts == ATTEMPTS

          sleep(rand * 0.02 * attempts)
          retry
        end
      end

      # Direct uploads that were announced and never finished leave rows without objects. Every application has some, so
      # they must not make a task fail.
      # @param blob [ActiveStorage::Blob] without an object
      # @return [Boolean] whether it is not attached, so that no object is expected
      def unfinished_upload?(blob)
        connected { !ActiveStorage::Attachment.unscoped.exists?(blob_id: blob.id) }
      end
    end
  end
end
