# frozen_string_literal: true

module EncryptedS3Service
  class Migration
    # A blob that could not be moved, or whose old file could not be deleted: `blob_id` and `reason` (String, without
    # anything of the file's content or name).
    Failure = Data.define(:blob_id, :reason) do
      # @param id [Object] of a blob
      # @param error [Exception]
      # @return [Failure]
      # @api private
      def self.of(id, error) = new(blob_id: id, reason: reason_of(error))

      # Of foreign errors only the name: a library's message may hold a signed URL or what it was sent.
      # @param error [Exception]
      # @return [String]
      # @api private
      def self.reason_of(error)
        spoken = error.is_a?(EncryptedS3Service::Error) || error.is_a?(ActiveStorage::Error) ||
                 error.is_a?(SystemCallError)
        spoken && error.message != error.class.name ? "#{error.class.name}: #{error.message}" : error.class.name
      end

      # @return [String]
      def to_s = "blob #{blob_id}: #{reason}"
    end
  end
end
