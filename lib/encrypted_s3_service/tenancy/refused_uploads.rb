# frozen_string_literal: true

module EncryptedS3Service
  # Direct uploads that were refused when they were attached ({AttachmentValidator}) are in plaintext where they must
  # not be. They are purged when the transaction has ended in which a record was to be saved with them.
  #
  # A client says which file it has uploaded, so what it says must not have other files deleted. Purged is only a file
  #
  # - whose row a direct upload has made and nothing else has touched: rows that the application makes with a file are
  #   `identified` from the beginning, and no client can set that,
  # - that is not older than a token of a form may be,
  # - that no record has, neither now nor when the job runs (ActiveStorage::Blob#purge),
  # - that is on a service which does not encrypt.
  # @api private
  module RefusedUploads
    # Seconds that a form stays open at most, where tokens never expire.
    LONGEST = 24 * 60 * 60
    private_constant :LONGEST

    class << self
      # Nothing is purged where somebody only asks whether a record is valid: he may still change his mind.
      # @param record [ActiveRecord::Base] that is not valid
      # @param blobs [Array<ActiveStorage::Blob>] that were refused
      # @return [void]
      def purge_after_transaction(record, blobs)
        purge = -> { purge(blobs.filter_map(&:id)) }
        TransactionEnd.await(record.class, committed: purge, rolledback: purge)
      end

      # A queue that does not answer must not keep a form from being shown again.
      # @param ids [Array<Integer>] of blobs
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
