# frozen_string_literal: true

module EncryptedS3Service
  module Serving
    # For controllers: uncacheable responses without a body, and the status of each error.
    # @api private
    module Refusals
      extend ActiveSupport::Concern

      # Seconds after which a client may retry.
      RETRY_AFTER = 5

      included do
        rescue_from(ActiveStorage::FileNotFoundError) { refuse(404) }
        rescue_from(KeyDestroyedError) { refuse(410) }
        # It may be enabled again.
        rescue_from(KeyDisabledError) { refuse(503) }
        # Archived on Amazon's Glacier: the object must be restored before it can be read.
        rescue_from(ArchivedError) { refuse(409) }
      end

      private

      def not_found = refuse(404)

      # @param status [Integer]
      # @param headers [Hash{String => String}]
      # @return [void]
      def refuse(status, headers = {})
        response.headers.merge!(headers)
        response.headers["Cache-Control"] = "no-store"
        head status
      end

      def refuse_for_now = refuse(503, "Retry-After" => RETRY_AFTER.to_s)
    end
  end
end
