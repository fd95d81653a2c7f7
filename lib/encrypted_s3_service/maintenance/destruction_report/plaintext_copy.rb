# frozen_string_literal: true

require "time"
require_relative "../../errors"
require_relative "results"

module EncryptedS3Service
  class DestructionReport
    # Looks for an old file that a migration has left in a service that does not encrypt. Such a file counts as opened.
    # @api private
    class PlaintextCopy
      # @param part [ActiveStorage::Service]
      def initialize(part)
        @part = part
      end

      # @return [String, nil] the bucket
      def bucket = @part.respond_to?(:bucket) ? @part.bucket.name : nil

      # @return [Hash{String => Array<String>}] none
      def key_ids = {}

      # @param key [String] the file's key
      # @return [Hash{Symbol => Object}] see {Trial#call}
      def call(key)
        @part.exist?(key) ? tried(Results::OPENED, "stored unencrypted") : tried(Results::GONE, "nothing is stored")
      rescue StandardError => e
        tried(Results::NOT_TRIED, Error.describe(e), "store")
      end

      private

      def tried(result, message, error = nil)
        { result: result, tried_at: Time.now.utc.iso8601,
          tries: [{ with: @part.name.to_s, error: error, message: message }] }
      end
    end
  end
end
