# frozen_string_literal: true

require_relative "bucket"

module EncryptedS3Service
  # What code that knows Rails' S3Service asks its service for. For the service that includes it.
  module S3ServiceNames
    # @return [Bucket]
    def bucket = Bucket.new(client, self)

    # @return [Integer] bytes from which on files are sent in parts
    def multipart_upload_threshold = client.configuration.multipart_threshold

    # @return [Hash{Symbol => String}] what the store is told about every object (`storage_class:`, for example)
    def upload_options = client.configuration.object_settings.symbolize_keys

    private

    # By this name applications reach for it (`service.send(:object_for, blob.key)`).
    def object_for(key) = bucket.object(key)
  end
end
