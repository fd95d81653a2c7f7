# frozen_string_literal: true

require_relative "../task_run/reason"

module EncryptedS3Service
  class Migration
    # A blob that could not be moved, or whose old file could not be deleted: `blob_id` and `reason` (String, without
    # anything of the file's content or name).
    Failure = Data.define(:blob_id, :reason) do
      # @param id [Object] of a blob
      # @param error [Exception]
      # @return [Failure]
      # @api private
      def self.of(id, error) = new(blob_id: id, reason: TaskRun::Reason.of(error))

      # @return [String]
      def to_s = "blob #{blob_id}: #{reason}"
    end
  end
end
