# frozen_string_literal: true

require "active_storage/service/s3_service"

# Rails' framework for attached files. A service's class must be in this module.
module ActiveStorage
  # Client-side encryption without a library for it: Rails' S3 service over Amazon's own encryption client.
  # rubocop:disable Style/ClassAndModuleChildren -- Rails names its services Service::S3Service
  class Service::ReferenceService < Service::S3Service
    # @param encryption_key [String] of 32 bytes
    # @param options [Hash] as for Rails' S3 service
    def initialize(encryption_key:, **options)
      super(**options)
      @encryption_client = Aws::S3::EncryptionV2::Client.new(
        client: client.client, encryption_key: encryption_key, key_wrap_schema: :aes_gcm,
        content_encryption_schema: :aes_gcm_no_padding, security_profile: :v2
      )
    end

    # The client does not accept the checksum, which is that of the plaintext.
    def upload(key, io, checksum: nil, content_type: nil, **)
      instrument :upload, key: key, checksum: checksum do
        @encryption_client.put_object(bucket: bucket.name, key: key, body: io, content_type: content_type)
      end
    end

    # The client cannot read ranges, so the whole file is the only chunk.
    def download(key)
      return instrument(:download, key: key) { whole(key) } unless block_given?

      instrument(:streaming_download, key: key) { yield whole(key) }
    end

    # Downloads the whole file for any range of it.
    def download_chunk(key, range)
      instrument(:download_chunk, key: key, range: range) { whole(key).byteslice(range) }
    end

    private

    def whole(key)
      @encryption_client.get_object(bucket: bucket.name, key: key).body.read.force_encoding(Encoding::BINARY)
    end
  end
  # rubocop:enable Style/ClassAndModuleChildren
end
