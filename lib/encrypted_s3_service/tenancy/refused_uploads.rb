# frozen_string_literal: true

module EncryptedS3Service
  # Purges direct uploads that were refused when they were attached ({AttachmentValidator}), because they are stored in
  # plaintext. This happens at the end of the transaction that should have saved the record.
  #
  # A client chooses the signed id that it sends, so it must not be able to have other files deleted. A file is purged
  # only if
  #
  # - its row was made by a direct upload and not changed since: rows that the application creates with a file are
  #   `identified` from the beginning, which a client cannot set,
  # - it is not older than a form's token can be,
  # - no record has it attached, neither now nor when the job runs (ActiveStorage::Blob#purge),
  # - its service does not encrypt.
  # @api private
  module RefusedUploads
    # Maximum age in seconds if tokens never expire.
    LONGEST = 24 * 60 * 60
    private_constant :LONGEST

    class << self
      # Does nothing outside of a transaction, where the application only calls `valid?`.
      # @param record [ActiveRecord::Base] the invalid record
      # @param blobs [Array<ActiveStorage::Blob>] the refused blobs
      # @return [void]
      def purge_after_transaction(record, blobs)
        purge = -> { purge(blobs.filter_map(&:id)) }
        TransactionEnd.await(record.class, committed: purge, rolledback: purge)
      end

      # Errors of the queue are reported and not raised, so that the form can be shown again.
      # @param ids [Array<Integer>] ids of blobs
      # @return [void]
      def purge(ids)
        Rails.error.handle { purgeable(ids).each(&:purge_later) }
      end

      private

      def purgeable(ids)
        ActiveStorage::Blob.unattached.where(id: ids, created_at: oldest..).to_a.select do |blob|
          !blob.identified && !blob.composed && ServiceParts.new(blob.service).plaintext.any?
        end
      end

      def oldest = (EncryptedS3Service.settings.direct_upload_token_expires_in || LONGEST).to_f.seconds.ago
    end
  end
end
