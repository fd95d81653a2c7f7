# frozen_string_literal: true

require_relative "old_files"

module EncryptedS3Service
  class Migration
    # Finds the old files that would be deleted, without changing anything.
    # @api private
    class Survey
      # Maximum number of ids in {#doubtful}.
      KEPT = 1_000
      private_constant :KEPT

      # @return [Array] ids of blobs, the first thousand, that name former keys that cannot be verified
      attr_reader :doubtful

      # @param endpoints [Endpoints]
      def initialize(endpoints)
        @endpoints = endpoints
        @doubtful = Concurrent::Array.new
      end

      # @param blob [ActiveStorage::Blob]
      # @return [Outcome, nil] the old files that would be deleted; nil when there are none
      def call(blob)
        old = OldFiles.new(blob, @endpoints)
        @doubtful << blob.id if old.doubtful? && @doubtful.size < KEPT
        Outcome.of(old.keys.size, blob.byte_size)
      end

      # @param former [FormerKey] of a blob that was purged
      # @return [Outcome, nil] the old file that would be deleted; nil when there is none
      def purged(former)
        return unless @endpoints.old_place?(former.service_name)

        named = TaskRun::Rows.connected { FormerKeys.named?(former.key) }
        Outcome.of(1, former.byte_size) if !named && @endpoints.left?(@endpoints.from_name, former.key)
      end

      # @return [void]
      def finish(_ids) = nil
    end
  end
end
