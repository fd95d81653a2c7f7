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
  class RefusedUploads
    # Seconds that a form stays open at most, where tokens never expire.
    LONGEST = 24 * 60 * 60
    private_constant :LONGEST

    class << self
      # @param record [ActiveRecord::Base] that is not valid
      # @param blobs [Array<ActiveStorage::Blob>] that were refused
      # @return [void]
      def purge_after_transaction(record, blobs)
        connection = record.class.connection_pool.active_connection? || nil
        # Who only asks whether a record is valid may still change his mind.
        return unless connection&.current_transaction&.joinable?

        connection.add_transaction_record(new(blobs.map(&:id)))
      end

      # @param ids [Array<Integer>] of blobs
      # @return [Array<ActiveStorage::Blob>] those that may be purged
      def purgeable(ids)
        ActiveStorage::Blob.unattached.where(id: ids, created_at: oldest..).to_a.select do |blob|
          !blob.identified && !blob.composed && ServiceParts.new(blob.service).plaintext.any?
        end
      end

      private

      def oldest = (EncryptedS3Service.settings.direct_upload_token_expires_in || LONGEST).to_f.seconds.ago
    end

    # @param ids [Array<Integer, nil>] of blobs
    def initialize(ids)
      @ids = ids.compact
    end

    # What follows is asked by ActiveRecord's transactions of the records in them
    # (`active_record/connection_adapters/abstract/transaction.rb`, Rails 7.1 to 8.2).

    # @return [Boolean] true
    def has_transactional_callbacks? = true # rubocop:disable Naming/PredicateName -- Active Record's name

    # @return [Boolean] true
    def trigger_transactional_callbacks? = true

    # @return [void]
    def before_committed!(*) = nil

    # @return [void]
    def add_to_transaction(*) = nil

    # @return [void]
    def committed!(*, **) = purge

    # @return [void]
    def rolledback!(*, **) = purge

    private

    # A queue that does not answer must not keep a form from being shown again.
    def purge
      Rails.error.handle { self.class.purgeable(@ids).each(&:purge_later) }
    end
  end
end
