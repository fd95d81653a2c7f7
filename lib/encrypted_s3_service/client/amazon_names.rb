# frozen_string_literal: true

require_relative "../errors"

module EncryptedS3Service
  # The methods that code for Rails' S3Service calls on `service.client`, an Aws::S3::Resource, and on
  # `service.bucket.client`, an Aws::S3::Client. None of them can work with encrypted objects; each raises and names the
  # alternative.
  # @api private
  module AmazonNames
    FOR_SERVICES = "it would read ciphertext and store plaintext"
    LISTED = "the bucket is not listed. Get the keys of files from ActiveStorage::Blob"
    PARTS = "parts sent to the store would be plaintext. Use `upload(key, io)`, which sends large files in parts"
    COPIES = "a copy made by the store is not encrypted for its new key. Use `compose([key], new_key)`"
    OTHERS = "use the console or the tools of your store"
    private_constant :FOR_SERVICES, :LISTED, :PARTS, :COPIES, :OTHERS

    INSTEAD = {
      get_object: "use `download(key)` or `reader(key)`", put_object: "use `upload(key, io)`",
      head_object: "use `stat(key)` or `exist?(key)`", delete_object: "use `delete(key)`",
      delete_objects: "use `delete(key)`, or `delete_prefixed(prefix)`", copy_object: COPIES, upload_part_copy: COPIES,
      presigned_url: "the store would serve ciphertext or store plaintext. Use `blob.url`",
      **%i[list_objects list_objects_v2 list_object_versions].to_h { |name| [name, LISTED] },
      **%i[
        create_multipart_upload upload_part complete_multipart_upload abort_multipart_upload list_parts
      ].to_h { |name| [name, PARTS] },
      **%i[
        buckets create_bucket get_object_acl get_object_attributes get_object_tagging get_bucket_location head_bucket
        list_buckets put_bucket_cors put_bucket_lifecycle_configuration put_bucket_policy put_object_acl
        put_object_tagging restore_object wait_until
      ].to_h { |name| [name, OTHERS] }
    }.freeze
    private_constant :INSTEAD

    # Code for Rails' S3Service expects an Aws::S3::Client here.
    # @raise [UnsupportedOperationError] always
    def client
      raise UnsupportedOperationError, "EncryptedS3 has no Aws::S3::Client: #{FOR_SERVICES}. Use the methods of " \
                                       "EncryptedS3Service::Client."
    end

    # Code for Rails' S3Service expects an Aws::S3::Resource here.
    # @raise [UnsupportedOperationError] always
    def bucket(*)
      raise UnsupportedOperationError, "EncryptedS3 has no Aws::S3::Resource: #{FOR_SERVICES}. Use `service.bucket`."
    end

    INSTEAD.each do |method, instead|
      # @raise [UnsupportedOperationError] always
      define_method(method) do |*, **|
        raise UnsupportedOperationError, "EncryptedS3 has no Aws::S3::Client##{method}: #{instead}."
      end
    end
  end
end
