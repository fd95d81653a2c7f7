# frozen_string_literal: true

require_relative "stored_file"

module EncryptedS3Service
  # Copies a blob to the service that an attachment requires ({RequiredService}), for applications that attach existing
  # blobs: templates, files of cloned records, images in pasted text, signed ids.
  #
  #     config.encrypted_s3_service.copy_attached_blobs = true          # for all attachments
  #     has_one_attached :contract_pdf, copy_attached_blobs: true       # for one; false excepts one
  #
  # Without it such a blob is refused ({AttachmentValidator}). The copy has its own key and the name, content type,
  # checksum and metadata of the original, which is not changed. The content passes through this process, is compared
  # with the checksum and is stored before the record is saved. If the transaction is rolled back, the copy is deleted.
  # @api private
  class BlobCopy
    # Metadata that Active Storage determined from the content.
    KNOWN = %w[analyzed identified composed].freeze
    private_constant :KNOWN

    class << self
      # @param record [ActiveRecord::Base] record to which the blob is attached
      # @param attribute [String, Symbol]
      # @param blob [ActiveStorage::Blob]
      # @return [BlobCopy, nil] nil when the blob can be attached as it is, or copies are not enabled
      def for(record, attribute, blob)
        return blob.encrypted_s3_copy if blob.encrypted_s3_copy
        return unless blob.persisted? && wanted?(record, attribute)

        demanded = RequiredService.demanded(record, attribute)
        return if demanded.nil? || blob.service_name == demanded.to_s || attached?(record, attribute, blob)

        return new(blob, demanded, record.class) unless record.respond_to?(:encrypted_s3_copies)

        record.encrypted_s3_copies[blob.id] ||= new(blob, demanded, record.class)
      end

      # @param record [ActiveRecord::Base]
      # @param attribute [String, Symbol]
      # @return [Boolean]
      def wanted?(record, attribute)
        options = record.attachment_reflections[attribute.to_s]&.options || {}
        options.fetch(:copy_attached_blobs) { EncryptedS3Service.settings.copy_attached_blobs }
      end

      # @param record [ActiveRecord::Base]
      # @param attribute [String, Symbol]
      # @param blob [ActiveStorage::Blob]
      # @return [Boolean] whether the blob is already attached, as when a form sends it again
      def attached?(record, attribute, blob)
        return false if record.new_record?

        ActiveStorage::Attachment.exists?(record: record, name: attribute, blob_id: blob.id)
      end
    end

    # @return [ActiveStorage::Blob] the copy
    attr_reader :blob

    # @param source [ActiveStorage::Blob]
    # @param service_name [Symbol]
    # @param model [Class] class of the record to which the copy is attached
    def initialize(source, service_name, model)
      @model = model
      # Loaded again, because identifying the blob changes the object.
      @source = ActiveStorage::Blob.find(source.id).tap(&:identify_without_saving)
      same = @source.slice(:content_type, :byte_size, :checksum).symbolize_keys
      @blob = ActiveStorage::Blob.new(**same, filename: @source.filename.to_s, metadata: metadata,
                                              service_name: service_name.to_s)
      @blob.encrypted_s3_copy = self
    end

    # Stores the content, once. Must be called in the transaction that saves the copy.
    # @return [void]
    # @raise [ActiveStorage::IntegrityError] when the content does not match size or checksum in the original's row
    # @raise [ActiveStorage::FileNotFoundError] when the original's file is missing
    def store
      return if @stored

      await_end
      @stored = true
      file = StoredFile.new(@source)
      @blob.upload_without_unfurling(file)
      return if file.position == @source.byte_size

      @blob.service.delete(@blob.key)
      raise ActiveStorage::IntegrityError, "The blob #{@source.id} has #{file.position} bytes instead of the " \
                                           "#{@source.byte_size} bytes in its row."
    end

    private

    # Active Storage's tables may be in another database than the record. Their rows are not rolled back with it, so
    # the copy stays as well.
    def await_end
      TransactionEnd.await(ActiveStorage::Blob, committed: method(:finish), rolledback: method(:discard)) ||
        TransactionEnd.await(@model, committed: method(:finish))
    end

    # Entries of this gem are not copied.
    def metadata = @source.metadata.slice(*KNOWN).merge(DirectUploads::Announcement.allowed(@source.metadata))

    # The original may be a direct upload to the wrong service, which is stored in plaintext and no longer needed.
    def finish
      @blob.encrypted_s3_copy = nil
      RefusedUploads.purge([@source.id])
    end

    def discard
      @stored = false
      Rails.error.handle { @blob.service.delete(@blob.key) }
    end
  end
end
