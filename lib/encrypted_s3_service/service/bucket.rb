# frozen_string_literal: true

require_relative "stored_object"

module EncryptedS3Service
  # What code that knows Active Storage's S3Service finds in `service.bucket` (there an Aws::S3::Bucket): as much of it
  # as can be had of encrypted objects. The rest raises and says what to do instead.
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
    # @return [StoredObject] the file under that key
    def object(key) = StoredObject.new(key, self, @service)

    # @raise [UnsupportedOperationError] always
    def objects(**)
      refuse("objects", "the bucket is not listed; ask ActiveStorage::Blob for the keys of files")
    end

    # @raise [UnsupportedOperationError] always
    def presigned_post(*, **)
      refuse("presigned_post", "a form sent to the store would store plaintext; use Active Storage's direct uploads")
    end

    # @raise [UnsupportedOperationError] always
    def url(**)
      refuse("url", "the store would serve ciphertext; use `blob.url`")
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
