# frozen_string_literal: true

require_relative "../task_run/content_check"

module EncryptedS3Service
  class Migration
    # Deletes the old file of a blob that was moved, once the copy was read back again: it may have been moved long ago.
    # @api private
    class Removal
      # @param endpoints [Endpoints]
      def initialize(endpoints)
        @endpoints = endpoints
      end

      # @param id [Object] of a blob
      # @return [Integer, nil] bytes that were deleted; nil when there was nothing to delete
      # @raise [StandardError] when the copy is not what the blob has to be; then the old file stays
      def call(id)
        blob = connected { rows(id).first } or return
        keys = @endpoints.old_keys(blob).select { |key| @endpoints.from.exist?(key) }
        if keys.any?
          compare(blob, keys.last)
          deleted = connected { delete(blob, keys) } or return
        end
        forget(blob, keys)
        deleted
      end

      # @return [void]
      def finish(_ids) = nil

      private

      def rows(id) = ActiveStorage::Blob.where(id: id, service_name: @endpoints.to_name)

      def compare(blob, old_key)
        content = TaskRun::ContentCheck.new(blob)
        # Where there is no checksum, the old file is what the copy is compared with.
        content.check(@endpoints.from, old_key) unless content.announced
        @endpoints.targets.each { |target| content.check(target, blob.key) }
      end

      # Under a lock, or the row could be moved back in the middle of it.
      def delete(blob, keys)
        ActiveStorage::Blob.transaction do
          next unless rows(blob.id).lock.exists?(key: blob.key)

          keys.each { |key| delete_file(key, blob.image?) }
          blob.byte_size
        end
      end

      # In one place what is not there is nowhere: it was deleted by a run that was killed before it came here.
      def forget(blob, deleted)
        gone = @endpoints.shared? ? FormerKeys.of(blob) : FormerKeys.of(blob) & deleted
        return if gone.empty?

        connected do
          FormerKeys.change(rows(blob.id)) { |current| { metadata: FormerKeys.removed(current, gone) } }
        end
      end

      def delete_file(key, image)
        @endpoints.from.delete(key)
        # Variants without rows, as ActiveStorage::Blob#delete has it.
        @endpoints.from.delete_prefixed("variants/#{key}/") if image
      end

      def connected(&) = ActiveStorage::Blob.connection_pool.with_connection(&)
    end
  end
end
