# frozen_string_literal: true

require_relative "../task_run/content_check"
require_relative "old_files"

module EncryptedS3Service
  class Migration
    # Deletes the old files of a moved blob after verifying the copy again, because it may have been moved long ago.
    # @api private
    class Removal
      # @param endpoints [Endpoints]
      # @param most [Integer] old files that may be deleted: as many as were confirmed
      def initialize(endpoints, most)
        @endpoints = endpoints
        @left = Concurrent::AtomicFixnum.new(most)
        # The database searches all rows for this, so it is not asked for each file.
        @variants_named = named_below?("variants/")
      end

      # @param blob [ActiveStorage::Blob]
      # @return [Outcome, nil] the old files that were deleted; nil when there were none
      # @raise [StandardError] when the copy does not match the blob; the old files are kept then
      def call(blob)
        old = OldFiles.new(blob, @endpoints)
        if old.keys.any?
          take(old.keys.size)
          compare(blob, old)
        end
        deleted = old.keys.select { |key| delete(old, key) }
        old.forget(deleted)
        Outcome.of(deleted.size, blob.byte_size)
      end

      # Deletes the old file of a blob that was purged after it was moved. Nothing refers to it any more.
      # @param former [FormerKey]
      # @return [Outcome, nil] the old files that were deleted; nil when there were none
      def purged(former)
        return if !@endpoints.old_place?(former.service_name) || named?(former)

        there = @endpoints.left?(@endpoints.from_name, former.key)
        if there
          take(1)
          return unless FormerKeys.claim_purged(former.id)

          delete_file(former.key, variants: true)
        else
          @endpoints.require_old_place
        end
        forget(former)
        Outcome.of(1, former.byte_size) if there
      end

      # @return [void]
      def finish(_ids) = nil

      private

      def named?(former) = TaskRun::Rows.connected { FormerKeys.named?(former.key) }

      # A mirror that has the old service has files in other places too.
      def forget(former)
        other = former.service_name unless former.service_name == @endpoints.from_name
        FormerKeys.forget(former.key, [former.service_name]) unless other && @endpoints.left?(other, former.key)
      end

      def take(files)
        return unless @left.decrement(files).negative?

        raise Error, "The old file is kept, because more files would be deleted than the confirmed number."
      end

      # If the row has no checksum, the copy is compared with the latest old file. A file with a key that an application
      # chose is also compared, because another file may happen to have the same key there.
      def compare(blob, old)
        content = TaskRun::ContentCheck.new(blob, repair: true)
        read = old.keys.reject { |key| Endpoints.random_key?(key) }
        read |= old.keys.last(1) unless content.noted?
        read.each { |key| content.source(old.service_of(key), key) }
        @endpoints.targets.each { |target| content.copy(target, blob.key) }
      end

      def delete(old, key)
        return false unless FormerKeys.claim(old.row, key, @endpoints.from_name)

        delete_file(key, variants: image?(old.blob))
        true
      end

      # ActiveStorage::Blob#image? raises for a blob without a content type, which imports can create.
      def image?(blob) = blob.content_type.to_s.start_with?("image")

      # Untracked variants, as in ActiveStorage::Blob#delete, but first: after the file is gone, no run would look for
      # them.
      def delete_file(key, variants:)
        prefix = "variants/#{key}/"
        @endpoints.from.delete_prefixed(prefix) if variants && !(@variants_named && named_below?(prefix))
        @endpoints.from.delete(key)
      end

      # An application may have chosen such keys for other files.
      def named_below?(prefix)
        # With an escape character, because SQLite has no default.
        below = ActiveStorage::Blob.arel_table[:key].matches("#{ActiveStorage::Blob.sanitize_sql_like(prefix)}%", "\\")
        TaskRun::Rows.connected { TaskRun::Rows.blobs.where(below).exists? }
      end
    end
  end
end
