# frozen_string_literal: true

module EncryptedS3Service
  class Migration
    # Blobs that belong to others: tracked variants, preview images, and the variants of those.
    # @api private
    module Relatives
      module_function

      # @param ids [Array] of blobs
      # @return [Array<Array>] these blobs, then the blobs that belong to them, and so on
      def generations(ids)
        generations = [ids]
        known = ids.to_set
        until (next_ids = belonging_to(generations.last).reject { |id| known.include?(id) }).empty?
          known.merge(next_ids)
          generations << next_ids
        end
        generations
      end

      # @param ids [Array] of blobs
      # @return [Array] ids of blobs
      def belonging_to(ids)
        records = ActiveStorage::VariantRecord.unscoped.where(blob_id: ids).ids
        variants = attached(ActiveStorage::VariantRecord, "image", records)
        (variants + attached(ActiveStorage::Blob, "preview_image", ids)).uniq
      end

      def attached(model, name, ids)
        ActiveStorage::Attachment.unscoped
                                 .where(record_type: model.polymorphic_name, name: name, record_id: ids).pluck(:blob_id)
      end
      private_class_method :attached
    end
  end
end
