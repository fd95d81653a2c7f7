# frozen_string_literal: true

require_relative "content"

module EncryptedS3Service
  class Migration
    # Deletes the old file of a blob that was moved, once the copy was read back again: it may have been moved long ago.
    # @api private
    class Removal
      # @param places [Places]
      def initialize(places)
        @places = places
      end

      # @param id [Object] of a blob
      # @return [Integer, nil] bytes that were deleted; nil when there was nothing to delete
      # @raise [StandardError] when the copy is not what the blob has to be; then the old file stays
      def call(id)
        blob = connected { find(ActiveStorage::Blob, id) } or return
        return unless @places.from.exist?(blob.key)

        compare(blob)
        connected { delete(blob) }
      end

      # @return [void]
      def finish(_ids) = nil

      private

      def compare(blob)
        content = Content.new(blob)
        # Where there is no checksum, the old file is what the copy is compared with.
        content.check(@places.from) if blob.checksum.blank?
        @places.targets.each { |target| content.check(target) }
      end

      # Under a lock, or the row could be moved back in the middle of it.
      def delete(blob)
        ActiveStorage::Blob.transaction do
          next unless find(ActiveStorage::Blob.lock, blob.id)

          @places.from.delete(blob.key)
          # Variants without rows, as ActiveStorage::Blob#delete has it.
          @places.from.delete_prefixed("variants/#{blob.key}/") if blob.image?
          blob.byte_size
        end
      end

      def find(blobs, id) = blobs.find_by(id: id, service_name: @places.to_name)

      def connected(&) = ActiveStorage::Blob.connection_pool.with_connection(&)
    end
  end
end
