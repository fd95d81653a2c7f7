# frozen_string_literal: true

require_relative "../task_run/rows"

module EncryptedS3Service
  class Migration
    # The keys that files had before they were moved, stored in a table of this gem until the old files are deleted. If
    # a process is killed before it deletes them, no other row names these files.
    #
    # A table is used instead of an entry in the blob's metadata, because deletions must not depend on data that a
    # client can write, and `metadata` is a parameter of direct uploads. A signed entry there would be safe from
    # clients, but not from everything else that writes that column as a whole (an analysis that has loaded the row
    # before, a process with another version of this gem, `update_columns`). It would become invalid after a change of
    # `secret_key_base`, and it would disappear with the row when a file is purged. A table costs one `CREATE TABLE`,
    # which the task runs when it first needs the table.
    # @api private
    module FormerKeys
      # The name of the table.
      TABLE = "encrypted_s3_service_former_keys"
      # Seconds for which a started deletion counts as under way: longer than a request to a store takes with all its
      # retries.
      CLAIM_LASTS = 30 * 60
      # The names of its unique index, now and in the first versions of this gem.
      INDEX = "index_encrypted_s3_former_keys_on_key_and_service"
      OLD_INDEX = "index_encrypted_s3_former_keys_on_key"
      private_constant :CLAIM_LASTS, :INDEX, :OLD_INDEX

      module_function

      # Creates the table if it does not exist.
      # @return [void]
      # @raise [ConfigurationError] when this process cannot create tables
      def prepare
        return if ready?

        ActiveStorage::Blob.connection_pool.with_connection { |connection| create_table(connection) }
        FormerKey.reset_column_information
      rescue ActiveRecord::ActiveRecordError => e
        # Another process may have been faster.
        return if ready?

        raise ConfigurationError, "The table #{TABLE}, which keeps the keys of old files, is missing or old and " \
                                  "cannot be created (#{e.class.name}). Create it in a migration: " \
                                  "EncryptedS3Service::Migration.create_former_keys_table(connection)"
      end

      # A file that was moved twice may have old files with the same key in two services.
      # @param connection [ActiveRecord::ConnectionAdapters::AbstractAdapter]
      # @return [void]
      def create_table(connection)
        connection.create_table(TABLE, if_not_exists: true) do |table|
          table.string :blob_id, null: false, limit: 64, index: { name: "index_encrypted_s3_former_keys_on_blob_id" }
          table.string :service_name, null: false
          table.string :key, null: false
          table.bigint :byte_size
          table.datetime :deleting_since
          table.datetime :created_at, null: false
        end
        connection.add_index(TABLE, %i[key service_name], unique: true, name: INDEX, if_not_exists: true)
        connection.remove_index(TABLE, name: OLD_INDEX, if_exists: true)
      end

      # @return [Boolean] whether the database (the shard) in use has the table
      def table?
        pool = ActiveStorage::Blob.connection_pool
        (@tables ||= Concurrent::Map.new)[pool] ||= pool.with_connection do |connection|
          connection.data_source_exists?(TABLE)
        end
      end

      # @return [Boolean] whether there is the table, with its present index
      def ready?
        table? && ActiveStorage::Blob.connection_pool.with_connection do |connection|
          !connection.index_name_exists?(TABLE, OLD_INDEX)
        end
      end

      # Records the key of a file, in the transaction that changes the blob's row.
      # @param blob [ActiveStorage::Blob] as it was before
      # @return [void]
      def add(blob)
        FormerKey.find_or_initialize_by(key: blob.key, service_name: blob.service_name)
                 .update!(blob_id: blob.id.to_s, byte_size: blob.byte_size, deleting_since: nil)
      end

      # @param blob_id [Object]
      # @return [Array<Array(String, String)>] keys and the names of their services, in the order in which the blob had
      #   them
      def of(blob_id)
        return [] unless table?

        TaskRun::Rows.connected { FormerKey.where(blob_id: blob_id.to_s).order(:id).pluck(:key, :service_name) }
      end

      # Announces that an old file is about to be deleted, so that no blob starts to name it meanwhile. No lock is held
      # during the request to the store.
      # @param row [ActiveRecord::Relation] of the blob whose old file it is
      # @param key [String]
      # @param service_name [String] of the service that has it
      # @return [Boolean] false when the row does not exist, or another blob names the file: it must not be deleted
      def claim(row, key, service_name)
        claimed = TaskRun::Rows.locked(row) do |blob|
          next if named?(key, except: blob.id)

          FormerKey.find_or_initialize_by(key: key, service_name: service_name)
                   .update!(blob_id: blob.id.to_s, byte_size: blob.byte_size, deleting_since: Time.current)
        end
        claimed ? true : false
      end

      # Does the same for the old file of a blob that was purged.
      # @param id [Object] of a {FormerKey}
      # @return [Boolean] false when the blob still exists, or any blob names the file
      def claim_purged(id)
        TaskRun::Rows.repeated do
          FormerKey.transaction do
            rows = FormerKey.where(id: id)
            next false unless rows.update_all(deleting_since: Time.current) == 1

            former = rows.first
            !TaskRun::Rows.blobs.exists?(id: former.blob_id) && !named?(former.key)
          end
        end
      end

      # @param key [String]
      # @param except [Object, nil] the id of a blob
      # @return [Boolean] whether a blob has this key, in any service
      def named?(key, except: nil) = TaskRun::Rows.blobs.where(key: key).where.not(id: except).exists?

      # @param key [String]
      # @return [void]
      # @raise [Error] when another process is deleting a file with this key, in any service
      def refuse_deletion(key)
        deletion = table? && FormerKey.find_by(key: key, deleting_since: CLAIM_LASTS.seconds.ago..)
        return unless deletion

        over = (deletion.deleting_since + CLAIM_LASTS).utc.strftime("%H:%M")
        raise Error, "Another run is deleting an old file with this key in #{deletion.service_name}. Run this one " \
                     "again afterwards, or after #{over} UTC if the other run was killed."
      end

      # @param key [String]
      # @param names [Array<String>] of services in which the file no longer exists
      # @return [void]
      def forget(key, names)
        TaskRun::Rows.repeated { FormerKey.where(key: key, service_name: names).delete_all }
      end
    end
  end
end
