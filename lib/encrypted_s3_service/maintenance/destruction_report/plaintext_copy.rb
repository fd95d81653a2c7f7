# frozen_string_literal: true

require "time"
require_relative "../../errors"
require_relative "../task_run/services"
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
        return tried(Results::OPENED, "stored unencrypted") if @part.exist?(key)
        return tried(Results::GONE, "nothing is stored") if TaskRun::Services.place?(@part)

        tried(Results::NOT_TRIED, "its bucket or folder does not exist", "configuration")
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
