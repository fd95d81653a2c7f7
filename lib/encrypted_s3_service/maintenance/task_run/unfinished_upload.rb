# frozen_string_literal: true

module EncryptedS3Service
  module TaskRun
    # Rows of direct uploads that were announced and never finished. Every application has some: they are no loss, and a
    # task that failed because of them would always fail.
    # @api private
    module UnfinishedUpload
      module_function

      # @param id [Object] of a blob that has no object
      # @return [Boolean] whether nothing is attached to it, so that nobody misses the object
      def of?(id)
        ActiveStorage::Blob.connection_pool.with_connection do
          ActiveStorage::Attachment.uncached { !ActiveStorage::Attachment.exists?(blob_id: id) }
        end
      end
    end
  end
end
