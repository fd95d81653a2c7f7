# frozen_string_literal: true

require "aws-sdk-s3"

# The object of a file as everybody sees it who can read the bucket but does not have the encryption key: read with an
# ordinary S3 client.
class StoredObject
  # Bytes of the body that are read.
  BEGINNING = 64

  # @return [String]
  attr_reader :key, :content_type, :beginning

  # @return [Integer] bytes in the bucket
  attr_reader :size

  # @return [Hash{String => String}]
  attr_reader :metadata

  class << self
    # @param blob [ActiveStorage::Blob]
    # @return [StoredObject, nil] nil if the bucket has no such object or does not answer
    def of(blob)
      # A range of an empty object is an error.
      range = "bytes=0-#{BEGINNING - 1}" if blob.byte_size.positive?
      new(blob.key, client.get_object(bucket: settings["bucket"], key: blob.key, range: range))
    rescue Aws::Errors::ServiceError, Seahorse::Client::NetworkingError
      nil
    end

    private

    def settings = Rails.configuration.active_storage.service_configurations.fetch("amazon")

    def client
      @client ||= Aws::S3::Client.new(
        settings.slice("access_key_id", "secret_access_key", "region", "endpoint", "force_path_style")
                .symbolize_keys.compact_blank
      )
    end
  end

  # @param key [String]
  # @param response [#content_type, #content_length, #content_range, #metadata, #body]
  def initialize(key, response)
    @key = key
    @content_type = response.content_type
    @size = Integer(response.content_range.to_s[%r{/(\d+)\z}, 1] || response.content_length)
    @metadata = response.metadata.sort.to_h
    @beginning = response.body.read.b
  end

  # @return [Boolean] whether it has the envelope of an encrypted file
  def encrypted? = metadata.key?("x-amz-key-v2")
end
