# frozen_string_literal: true

require_relative "stored_object"

module EncryptedS3Service
  # Stands in for the Aws::S3::Bucket that code for Active Storage's S3Service finds in `service.bucket`. Methods that
  # cannot work with encrypted objects raise and name the alternative.
  class Bucket
    LISTED = "the bucket cannot be listed. Get the keys of files from ActiveStorage::Blob"
    KEPT = "settings of buckets are not read or changed. Use the console or the tools of your store"
    ASKED = "run `bin/rails encrypted_s3_service:doctor`, which looks for the bucket and reports its problems"
    private_constant :LISTED, :KEPT, :ASKED

    # Unsupported methods of Aws::S3::Bucket, with the reason and the alternative.
    INSTEAD = {
      presigned_post: "a form sent to the store would store plaintext. Use Active Storage's direct uploads",
      url: "the store would serve ciphertext. Use `blob.url`",
      put_object: "use `service.upload(key, io)`",
      delete_objects: "use `service.delete(key)`, or `service.delete_prefixed(prefix)`",
      **%i[objects object_versions multipart_uploads].to_h { |name| [name, LISTED] },
      **%i[clear! delete delete!].to_h { |name| [name, "buckets cannot be deleted or emptied"] },
      **%i[exists? wait_until wait_until_exists wait_until_not_exists].to_h { |name| [name, ASKED] },
      **%i[
        acl arn bucket_arn bucket_region cors create creation_date data data_loaded? lifecycle lifecycle_configuration
        load location_constraint logging notification policy reload request_payment tagging versioning website
      ].to_h { |name| [name, KEPT] }
    }.freeze
    private_constant :INSTEAD

    # @return [String] the bucket's name, or the path of the folder in its place
    attr_reader :name
    # @return [Client]
    attr_reader :client

    # @param client [Client]
    # @param service [ActiveStorage::Service::EncryptedS3Service]
    # @api private
    def initialize(client, service)
      @client = client
      @service = service
      @name = client.configuration.bucket || client.configuration.root
    end

    # @param key [String]
    # @return [StoredObject] the file under this key
    def object(key) = StoredObject.new(key, self, @service)

    INSTEAD.each do |method, instead|
      # @raise [UnsupportedOperationError] always
      define_method(method) do |*, **|
        raise UnsupportedOperationError, "EncryptedS3 has no Bucket##{method}: #{instead}."
      end
    end

    # @return [String]
    def inspect = "#<#{self.class.name} name=#{name.inspect}>"
  end
end
