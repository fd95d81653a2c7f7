# frozen_string_literal: true

require_relative "stored_object"

module EncryptedS3Service
  # Stands in for the Aws::S3::Bucket that code for Active Storage's S3Service finds in `service.bucket`. Methods that
  # cannot work with encrypted objects raise and name the alternative.
  class Bucket
    # @return [String]
    attr_reader :name
    # @return [Client]
    attr_reader :client

    # @param client [Client]
    # @param service [ActiveStorage::Service::EncryptedS3Service]
    # @api private
    def initialize(client, service)
      @client = client
      @service = service
      @name = client.configuration.bucket
    end

    # @param key [String]
    # @return [StoredObject] the file under this key
    def object(key) = StoredObject.new(key, self, @service)

    # @raise [UnsupportedOperationError] always
    def objects(**)
      refuse("objects", "the bucket cannot be listed. Get the keys of files from ActiveStorage::Blob")
    end

    # @raise [UnsupportedOperationError] always
    def presigned_post(*, **)
      refuse("presigned_post", "a form sent to the store would store plaintext. Use Active Storage's direct uploads")
    end

    # @raise [UnsupportedOperationError] always
    def url(**)
      refuse("url", "the store would serve ciphertext. Use `blob.url`")
    end

    # @raise [UnsupportedOperationError] always
    def put_object(**)
      refuse("put_object", "use `service.upload(key, io)`")
    end

    # @return [String]
    def inspect = "#<#{self.class.name} name=#{name.inspect}>"

    private

    def refuse(method, instead)
      raise UnsupportedOperationError, "EncryptedS3 has no Bucket##{method}: #{instead}."
    end
  end
end
