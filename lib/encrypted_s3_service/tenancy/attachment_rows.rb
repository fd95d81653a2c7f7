# frozen_string_literal: true

module EncryptedS3Service
  # Refuses attachment rows that do not come from the attribute when the file is on another service than required: from
  # `ActiveStorage::Attachment.create!`, `contract.pictures_blobs << blob`, and gems that clone records or move files
  # from one record to another. {AttachmentValidator} checks assignments to the attribute.
  # @api private
  module AttachmentRows
    # Prepended to ActiveStorage::Attached::Changes::CreateOne, and so in CreateOneOfMany.
    module Change
      private

      # AttachmentValidator checks the value that was assigned to the attribute, which contains more than the row.
      def build_attachment = super.tap { |attachment| attachment.encrypted_s3_by_attribute = true }

      # Rails stores the previews and variants that it makes on the service of their file. So are those of the
      # application: a previewer that does not pass on its options, or `blob.preview_image.attach`.
      def attachment_service_name = super || encrypted_service_of_original

      def encrypted_service_of_original
        original = record.try(:blob) || record if record.is_a?(ActiveStorage::Record)
        original.service_name if original && ServiceParts.new(original.service).encrypted.any?
      end
    end

    # Included in ActiveStorage::Attachment.
    module Row
      extend ActiveSupport::Concern

      # Columns that say what is attached, and where.
      PLACE = %w[blob_id record_type record_id name].freeze
      private_constant :PLACE

      included do
        attr_accessor :encrypted_s3_by_attribute

        validate :refuse_blob_elsewhere, if: :encrypted_s3_attaches?, unless: :encrypted_s3_by_attribute
        # Later changes of the row do not come from the attribute.
        after_save { self.encrypted_s3_by_attribute = nil }
      end

      # @return [Boolean] whether the row attaches its blob, or moves it to another record or attribute
      # @api private
      def encrypted_s3_attaches? = new_record? || changed.intersect?(PLACE)

      private

      # Previews and variants follow their blob.
      def refuse_blob_elsewhere
        return if blob.nil? || record.nil? || record.is_a?(ActiveStorage::Record)

        demanded = RequiredService.demanded(record, name)
        return if demanded.nil? || blob.service_name.to_s == demanded.to_s

        AttachmentValidator.new(attributes: [:blob]).refuse(self, :blob, [blob])
      end
    end

    # @return [void]
    def self.install
      ActiveStorage::Attachment.include(Row)
      ActiveStorage::Attached::Changes::CreateOne.prepend(Change)
    end
  end
end
