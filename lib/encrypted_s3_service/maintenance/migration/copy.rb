# frozen_string_literal: true

require_relative "../task_run/content_check"
require_relative "../task_run/rows"

module EncryptedS3Service
  class Migration
    # Moves one blob: copies the file, verifies the copy and changes the row to the new service.
    # @api private
    class Copy
      # @return [Integer] number of rows with a corrected checksum or size
      def corrected = @corrected.value

      # @param endpoints [Endpoints]
      # @param dry_run [Boolean] whether to change nothing and only check that the file exists
      # @param repair [Boolean] see {Migration#initialize}
      def initialize(endpoints, dry_run: false, repair: false)
        @endpoints = endpoints
        @dry_run = dry_run
        @repair = repair
        @keys = Concurrent::Map.new
        @corrected = Concurrent::AtomicFixnum.new
      end

      # @param blob [ActiveStorage::Blob]
      # @return [Outcome, Symbol, nil] the moved file; nil when another process has moved or purged the blob;
      #   `:unfinished` when it has no file and no attachment
      # @raise [StandardError] when it could not be copied; the row is unchanged then
      def call(blob)
        return rehearse(blob) if @dry_run

        content = TaskRun::ContentCheck.new(blob, repair: @repair, form: @endpoints.checksum_form)
        with_file do |file|
          fetched = fetch(blob, content, file)
          # Another run may have moved the blob meanwhile, and its new file may be in use.
          return unless TaskRun::Rows.there?(blob)
          return :unfinished unless fetched

          copy(blob, content, file)
        end
        Outcome.of(1, content.bytes) if flip(blob, content)
      end

      # Deletes the copies of blobs that were purged meanwhile: no row names them, and purging deletes only the file
      # that the row named when it was read.
      # @param ids [Array]
      # @return [void]
      def finish(ids)
        keys = keys_without_rows(ids)
        @keys.clear
        @endpoints.targets.each { |target| keys.each { |key| target.delete(key) } }
      end

      private

      def rehearse(blob)
        return Outcome.of(1, blob.byte_size) if @endpoints.from.exist?(blob.key)
        return unless TaskRun::Rows.there?(blob)
        return :unfinished if TaskRun::Rows.unfinished_upload?(blob)

        raise NotFoundError, "#{@endpoints.from_name} does not have the file."
      end

      # @return [Boolean] whether there is a file
      def fetch(blob, content, file)
        content.source(@endpoints.from, blob.key) { |chunk| file.write(chunk) }
        true
      rescue ActiveStorage::FileNotFoundError
        raise if TaskRun::Rows.there?(blob) && !TaskRun::Rows.unfinished_upload?(blob)

        false
      end

      def keys_without_rows(ids)
        return [] if @keys.empty?

        there = TaskRun::Rows.connected { TaskRun::Rows.blobs.where(id: ids).ids }
        keys = (ids - there).filter_map { |id| @keys[id] }
        keys.empty? ? [] : keys - TaskRun::Rows.connected { TaskRun::Rows.blobs.where(key: keys).pluck(:key) }
      end

      def copy(blob, content, file)
        key = @endpoints.new_key(blob.key)
        @endpoints.targets.each { |target| refuse_other_file(target, key, content) }
        @keys[blob.id] = key
        @endpoints.targets.each do |target|
          file.rewind
          store(target, key, file, content)
          content.copy(target, key)
        end
      end

      # An ArgumentError is an error of the caller; the task shows only the messages of others.
      def store(target, key, file, content)
        target.upload(key, file, checksum: content.announced(target), **content.description)
      rescue ArgumentError => e
        raise ServiceParts.encrypts?(target) ? Error.new(e.message) : e
      end

      # A key that an application chose may be the key of another file in the new service. A copy made by an earlier run
      # has the same content.
      def refuse_other_file(target, key, content)
        return if Endpoints.random_key?(key) || !target.exist?(key)

        content.copy(target, key)
      rescue IntegrityError, ActiveStorage::IntegrityError, EnvelopeError, UnwrapError
        raise IntegrityError, "#{target.name} already has another file under the key #{key.inspect}."
      end

      # @return [Boolean] whether the row was changed to the new service
      def flip(blob, content)
        key = @endpoints.new_key(blob.key)
        columns = { service_name: @endpoints.to_name, key: key, **content.corrections }
        return false unless change(blob, columns)

        refuse_deleted_copy(blob, key) if key == blob.key
        @corrected.increment if content.corrections.any?
        true
      end

      # Compare and set: a row that is gone, or that meanwhile names another service or key, is not changed.
      def change(blob, columns)
        row = row_of(blob, @endpoints.from_name, blob.key)
        changed = TaskRun::Rows.locked(row) do |current|
          FormerKeys.refuse_deletion(blob.key) if columns[:key] == blob.key
          FormerKeys.add(current)
          row.update_all(columns)
        end
        changed == 1
      end

      # If keys stay the same, a run in the other direction may have deleted this copy, as its old file, just before the
      # row named it. The source still exists then. Without the table there was no such run.
      def refuse_deleted_copy(blob, key)
        return if !FormerKeys.table? || @endpoints.targets.all? { |target| target.exist?(key) }

        back = row_of(blob, @endpoints.to_name, key).update_all(service_name: @endpoints.from_name)
        return unless back == 1

        raise Error, "Another run has deleted the copy as an old file of #{@endpoints.to_name}. Run this one again " \
                     "afterwards."
      end

      def row_of(blob, name, key) = TaskRun::Rows.blobs.where(id: blob.id, service_name: name, key: key)

      # The temporary file is unlinked at once, so that a killed process leaves no plaintext.
      def with_file
        Tempfile.create("migration-", binmode: true) do |file|
          File.unlink(file.path)
          yield file
        end
      end
    end
  end
end
