# frozen_string_literal: true

module EncryptedS3Service
  module TaskRun
    # The blobs of a run: a relation, or those of its blobs whose ids are listed in a file. Each query has only the ids
    # of its batch. With all ids in every query, a run over 200,000 listed blobs would spend most of its time in the
    # database.
    # @api private
    class ChosenBlobs
      # Ids per counting query.
      SLICE = 500
      private_constant :SLICE

      # @param blobs [ActiveRecord::Relation, ChosenBlobs] of ActiveStorage::Blob
      # @return [ChosenBlobs]
      def self.of(blobs) = blobs.is_a?(self) ? blobs : new(blobs)

      # @param relation [ActiveRecord::Relation] of ActiveStorage::Blob
      # @param ids [Array<String>, nil] nil for all blobs of the relation
      def initialize(relation, ids = nil)
        @relation = relation
        @ids = ids
      end

      # @param conditions [Array] as for ActiveRecord::Relation#where
      # @return [ChosenBlobs] fewer blobs
      def where(*conditions) = self.class.new(@relation.where(*conditions), @ids)

      # @param size [Integer] most blobs per batch
      # @param load [Boolean] whether the rows are needed and not only their ids
      # @yieldparam batch [ActiveRecord::Relation]
      # @return [void]
      def in_batches(size, load: false, &)
        return @relation.in_batches(of: size, load: load, &) unless @ids

        @ids.each_slice(size) { |ids| yield @relation.where(id: ids) }
      end

      # @return [Integer] number of blobs
      def count = slices.sum(&:count)

      # @return [Integer] their bytes
      def bytes = slices.sum { |slice| slice.sum(:byte_size) }

      # @return [Boolean] whether these are all blobs
      def all? = @ids.nil? && @relation.to_sql == ActiveStorage::Blob.unscoped.to_sql

      private

      def slices = @ids ? @ids.each_slice(SLICE).map { |ids| @relation.where(id: ids) } : [@relation]
    end
  end
end
