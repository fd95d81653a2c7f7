# frozen_string_literal: true

require_relative "bucket"

module EncryptedS3Service
  # Methods of Rails' S3Service that applications call on their service.
  module S3ServiceNames
    # @return [Bucket]
    def bucket = Bucket.new(client, self)

    # @return [Integer] bytes from which files are uploaded in parts
    def multipart_upload_threshold = client.configuration.multipart_threshold

    # @return [Hash{Symbol => String}] the `upload` settings sent with every object, for example `storage_class:`
    def upload_options = client.configuration.object_settings.symbolize_keys

    private

    # Applications call it as `service.send(:object_for, blob.key)`.
    def object_for(key) = bucket.object(key)
  end
end
