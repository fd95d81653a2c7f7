# frozen_string_literal: true

require_relative "stored_file"

module EncryptedS3Service
  # A copy of a blob that lives elsewhere than an attachment demands ({RequiredService}), for applications that attach
  # blobs which exist: templates, files of records that are cloned, pictures in pasted text, signed ids.
  #
  #     config.encrypted_s3_service.copy_attached_blobs = true          # for all attachments
  #     has_one_attached :contract_pdf, copy_attached_blobs: true       # for one; false excepts one
  #
  # Without it such a blob is refused ({AttachmentValidator}). The copy has a key of its own, and the name, type,
  # checksum and metadata of the original, which stays as it is. The content goes through this process, is compared with
  # the checksum on the way, and is stored before the record is; when the transaction does not succeed it is deleted.
  # @api private
  class BlobCopy
    # What Active Storage has found out about the content.
    KNOWN = %w[analyzed identified composed].freeze
    private_constant :KNOWN

    class << self
      # @param record [ActiveRecord::Base] to which a blob is attached
      # @param attribute [String, Symbol]
      # @param blob [ActiveStorage::Blob]
      # @return [BlobCopy, nil] nil when the blob may stay where it is, or copies are not wanted
      def for(record, attribute, blob)
        return blob.encrypted_s3_copy if blob.encrypted_s3_copy
        return unless blob.persisted? && wanted?(record, attribute)

        demanded = RequiredService.demanded(record, attribute)
        return if demanded.nil? || blob.service_name == demanded.to_s || attached?(record, attribute, blob)

        return new(blob, demanded) unless record.respond_to?(:encrypted_s3_copies)

        record.encrypted_s3_copies[blob.id] ||= new(blob, demanded)
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
      # @return [Boolean] whether the record has it already, as a form that is sent again says
      def attached?(record, attribute, blob)
        return false if record.new_record?

        ActiveStorage::Attachment.exists?(record: record, name: attribute, blob_id: blob.id)
      end
    end

    # @return [ActiveStorage::Blob] the copy
    attr_reader :blob

    # @param source [ActiveStorage::Blob]
    # @param service_name [Symbol]
    def initialize(source, service_name)
      # Another object than the application's: to identify a blob changes it.
      @source = ActiveStorage::Blob.find(source.id).tap(&:identify_without_saving)
      same = @source.slice(:content_type, :byte_size, :checksum).symbolize_keys
      @blob = ActiveStorage::Blob.new(**same, filename: @source.filename.to_s, metadata: metadata,
                                              service_name: service_name.to_s)
      @blob.encrypted_s3_copy = self
    end

    # Stores the content, once. To be called in the transaction in which the copy is saved.
    # @return [void]
    # @raise [ActiveStorage::IntegrityError] when the content is not what the original's row says
    # @raise [ActiveStorage::FileNotFoundError] when the original has none
    def store
      return if @stored

      TransactionEnd.await(ActiveStorage::Blob, committed: method(:finish), rolledback: method(:discard))
      @stored = true
      file = StoredFile.new(@source)
      @blob.upload_without_unfurling(file)
      return if file.position == @source.byte_size

      @blob.service.delete(@blob.key)
      raise ActiveStorage::IntegrityError, "The blob #{@source.id} has #{file.position} bytes, and not " \
                                           "#{@source.byte_size} as its row says"
    end

    private

    # Entries of this gem belong to the original alone.
    def metadata = @source.metadata.slice(*KNOWN).merge(DirectUploads::Announcement.allowed(@source.metadata))

    # A client's direct upload to the wrong service is of no use any more, in plaintext.
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
