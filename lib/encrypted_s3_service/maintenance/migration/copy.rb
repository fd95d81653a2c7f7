# frozen_string_literal: true

require_relative "../task_run/content_check"
require_relative "../task_run/unfinished_upload"

module EncryptedS3Service
  class Migration
    # Moves one blob: copies the file, reads the copy back, and has the row name the new service.
    # @api private
    class Copy
      # @param endpoints [Endpoints]
      def initialize(endpoints)
        @endpoints = endpoints
        @keys = Concurrent::Map.new
      end

      # @param id [Object] of a blob
      # @return [Integer, Symbol, nil] bytes that were moved; nil when somebody else has moved or purged it;
      #   `:unfinished` when it has no file and is attached to nothing
      # @raise [StandardError] when it could not be copied; then the row is as it was
      def call(id)
        blob = connected { rows(id).first } or return
        @keys[id] = key = @endpoints.new_key(blob.key)
        content = TaskRun::ContentCheck.new(blob)
        with_file do |file|
          fetched = fetch(blob, content, file)
          # Another run may have moved it meanwhile, and a reader may be at work there.
          return unless connected { rows(id).exists? }
          return :unfinished unless fetched

          @endpoints.targets.each { |target| store(target, key, file, content) }
        end
        blob.byte_size if connected { flip(id, blob.key, key) }
      end

      # Whoever purges a blob deletes its file where the row said when it was read. Copies of blobs whose rows are gone
      # are deleted here, so that nothing is left that nobody knows of.
      # @param ids [Array]
      # @return [void]
      def finish(ids)
        gone = ids - ActiveStorage::Blob.where(id: ids).ids
        keys = gone.filter_map { |id| @keys[id] }
        @keys.clear
        @endpoints.targets.each { |target| keys.each { |key| target.delete(key) } }
      end

      private

      def rows(id) = ActiveStorage::Blob.where(id: id, service_name: @endpoints.from_name)

      # @return [Boolean] whether there is a file
      def fetch(blob, content, file)
        content.check(@endpoints.from, blob.key) { |chunk| file.write(chunk) }
        true
      rescue ActiveStorage::FileNotFoundError
        raise unless TaskRun::UnfinishedUpload.of?(blob.id)

        false
      end

      # Compare and set: the row is left alone when it is gone or names another service by now.
      def flip(id, former, key)
        return rows(id).update_all(service_name: @endpoints.to_name) == 1 if key == former

        FormerKeys.change(rows(id).where(key: former)) do |blob|
          { service_name: @endpoints.to_name, key: key, metadata: FormerKeys.added(blob, former) }
        end
      end

      def store(target, key, file, content)
        file.rewind
        target.upload(key, file, checksum: content.announced, **content.description)
        content.check(target, key)
      end

      # Without a name, so that a process that is killed leaves no plaintext behind.
      def with_file
        Tempfile.create("migration-", binmode: true) do |file|
          File.unlink(file.path)
          yield file
        end
      end

      # A connection is held for the time of a query, not for that of a copy.
      def connected(&) = ActiveStorage::Blob.connection_pool.with_connection(&)
    end
  end
end
