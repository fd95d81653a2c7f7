# frozen_string_literal: true

require "encrypted_s3_service"
require "encrypted_s3_service/decryption_events"
require "encrypted_s3_service/load_order"
require "encrypted_s3_service/service/active_storage_errors"
require "encrypted_s3_service/service/digest_type"
require "encrypted_s3_service/service/disk_service_names"
require "encrypted_s3_service/service/s3_service_names"
require "encrypted_s3_service/serving/urls"

EncryptedS3Service::LoadOrder.check

# Rails' framework for attached files.
module ActiveStorage
  # Stores files on S3 or a compatible store, encrypted by this application in the envelope format of Amazon's S3
  # Encryption Client (V2 or V3). See ActiveStorage::Service for the common meaning of the methods.
  #
  # The store does not receive the file's name, content type or metadata.
  class Service::EncryptedS3Service < Service
    include ::EncryptedS3Service::S3ServiceNames
    include ::EncryptedS3Service::DiskServiceNames
    include ::EncryptedS3Service::DigestType

    # Notification about the progress of an upload: `key`, `bytes` (plaintext bytes stored so far), `total` (plaintext
    # bytes, nil when unknown) and `service` (the name in storage.yml).
    PROGRESS_EVENT = "transfer_progress.encrypted_s3_service"

    # Notification that an upload of a large file has succeeded, but its segment map could not be stored, so that parts
    # of it are read more slowly: `key`, `service` and `error` (the text).
    INDEX_FAILED_EVENT = "index_failed.encrypted_s3_service"

    # @return [::EncryptedS3Service::Client] the client behind this service, without Rails
    attr_reader :client

    # @return [Symbol, nil] the name of this service in links and direct uploads; nil for its own name. The primary of a
    #   tenant's mirror has the name of the mirror, because its own cannot be looked up
    # @api private
    attr_accessor :name_in_addresses

    # @param client [::EncryptedS3Service::Client, nil] used instead of options
    # @param options [Hash{Symbol => Object}] see EncryptedS3Service::Configuration
    # @raise [::EncryptedS3Service::ConfigurationError]
    def initialize(client: nil, **options)
      super()
      @client = client || client_of(options)
      @public = @client.configuration.public?
    end

    # @param key [String]
    # @param io [#read] read from its current position to its end; neither rewound nor closed
    # @param checksum [String, nil] Base64 of the MD5 of the plaintext; see EncryptedS3Service::Client#upload for others
    # @return [void]
    # @raise [ActiveStorage::IntegrityError] when the content does not match the checksum; nothing is stored then
    def upload(key, io, checksum: nil, **)
      instrument :upload, key: key, checksum: checksum do
        stored = translate_errors { client.upload(key, io, checksum: checksum, progress: progress_of(key)) }
        notify_of_failed_index(key, stored)
      end
    end

    # @param key [String]
    # @yieldparam chunk [String] binary; 5 MiB, the last one may be shorter
    # @return [String, nil] the whole file; nil with a block
    # @raise [ActiveStorage::FileNotFoundError]
    # @raise [ActiveStorage::IntegrityError] before any content is returned or yielded
    def download(key, &)
      instrument block_given? ? :streaming_download : :download, key: key do
        decrypting(key) { |report| client.download(key, report: report, &) }
      end
    end

    # Downloads the plaintext into a temporary file, written by Rust (in place of ActiveStorage::Downloader until Rails
    # 8.1, of ActiveStorage::Service#open from 8.2 on).
    #
    # @param key [String]
    # @param checksum [String, nil] of the plaintext, see {#upload}. Composed blobs and untracked variants have none;
    #   for them the authentication of the content is the only check
    # @param verify [Boolean] whether to compare the checksum. In addition to the authentication of the content it
    #   detects an object that was replaced by another one
    # @param name [String, Array<String>] basename of the Tempfile
    # @param tmpdir [String, nil] folder of the Tempfile
    # @yieldparam file [Tempfile] at its beginning; deleted after the block
    # @return [Object] the block's result; without a block the Tempfile
    # @raise [ActiveStorage::FileNotFoundError]
    # @raise [ActiveStorage::IntegrityError]
    def open(key, checksum: nil, verify: true, name: "ActiveStorage-", tmpdir: nil)
      file = Tempfile.open(name, tmpdir).tap(&:binmode)
      expected = ::EncryptedS3Service::Checksum.parse(checksum) if verify
      digest = fill(file, key, digest: expected&.algorithm)
      translate_errors { expected.check(digest) } if expected
      return opened = file unless block_given?

      yield file
    ensure
      file&.close! unless opened
    end

    # @param key [String]
    # @param range [Range<Integer>]
    # @return [String] binary
    # @raise [ActiveStorage::FileNotFoundError]
    # @raise [ActiveStorage::IntegrityError]
    # @raise [::EncryptedS3Service::InvalidRangeError] when the range begins at or after the end of the file
    def download_chunk(key, range)
      instrument :download_chunk, key: key, range: range do
        decrypting(key, range: range) { |report| client.download_chunk(key, range, report: report) }
      end
    end

    # @param source_keys [Array<String>]
    # @param destination_key [String]
    # @return [void]
    # @raise [ActiveStorage::FileNotFoundError] when a source is missing; nothing is stored then
    def compose(source_keys, destination_key, **)
      reading = ->(key, &read) { decrypting(key, &read) }
      stored = translate_errors { client.compose(source_keys, destination_key, reading: reading) }
      notify_of_failed_index(destination_key, stored)
    end

    # @param key [String]
    # @return [void]
    def delete(key)
      instrument(:delete, key: key) { translate_errors { client.delete(key) } }
    end

    # @param prefix [String] not empty
    # @return [void]
    def delete_prefixed(prefix)
      instrument(:delete_prefixed, prefix: prefix) { translate_errors { client.delete_prefixed(prefix) } }
    end

    # @param key [String]
    # @return [Boolean]
    def exist?(key)
      instrument :exist, key: key do |payload|
        payload[:exist] = translate_errors { client.exist?(key) }
      end
    end

    # Opens a file for reading step by step; see EncryptedS3Service::Reader. The notification ends when the file is
    # open.
    #
    # @param key [String]
    # @param likely [Range<Integer>, nil] the bytes that will probably be read; see EncryptedS3Service::Client#reader
    # @return [::EncryptedS3Service::ActiveStorageErrors::Reader] must be closed
    # @raise [ActiveStorage::FileNotFoundError]
    def reader(key, likely: nil)
      instrument :streaming_download, key: key do
        decrypting(key) do |report|
          client.reader(key, report: report, likely: likely, as: ::EncryptedS3Service::ActiveStorageErrors::Reader)
        end
      end
    end

    # @param key [String]
    # @return [::EncryptedS3Service::Client::Stat] plaintext size, entity tag, format and key id
    # @raise [ActiveStorage::FileNotFoundError]
    def stat(key) = translate_errors { client.stat(key) }

    # The URL to which a browser sends a file. It leads to the application, which encrypts and stores the file; with a
    # presigned URL of the store the browser would store plaintext.
    #
    # @param key [String]
    # @param expires_in [ActiveSupport::Duration, Integer] seconds
    # @param content_type [String]
    # @param content_length [Integer] bytes
    # @param checksum [String] as in {#upload}
    # @return [String]
    # @raise [ArgumentError] when no setting names the application's host
    def url_for_direct_upload(key, expires_in:, content_type:, content_length:, checksum:, **)
      expected = { content_type: content_type, content_length: content_length, checksum: checksum }
      instrument :url, key: key do |payload|
        payload[:url] = urls.direct_upload(key, expected, expires_in: expires_in)
      end
    end

    # @return [Hash{String => String}] headers that the browser must send with the file
    def headers_for_direct_upload(_key, content_type: nil, **)
      { "Content-Type" => content_type.presence || "application/octet-stream" }
    end

    # @return [String] name and bucket or folder, without secrets
    def inspect
      place = client.configuration.root ? :root : :bucket
      "#<#{self.class.name} name=#{name.inspect} #{place}=#{client.configuration.public_send(place).inspect}>"
    end

    private

    # Rails also builds services where secrets are missing, for example while a container image is built.
    def client_of(options)
      tolerance = ::EncryptedS3Service::Configuration::Tolerance
      tolerance.client(options, placeholders: tolerance.dummy?)
    end

    def private_url(key, expires_in:, filename:, content_type:, disposition:, **)
      address(key, filename, content_type, disposition, expires_in)
    end

    def public_url(key, filename:, content_type: nil, disposition: :attachment, **)
      address(key, filename, content_type, disposition, nil)
    end

    def address(key, filename, content_type, disposition, expires_in)
      urls.blob(key, filename: filename, content_type: content_type, expires_in: expires_in, disposition: disposition)
    end

    def urls = ::EncryptedS3Service::Serving::Urls.new(name_in_addresses || name)

    # Called by Rails from 8.2 on. The object has no metadata of the blob, so there is nothing to update.
    def update_metadata_for(_key, **); end

    def fill(file, key, digest:)
      written = instrument :streaming_download, key: key do
        decrypting(key) { |report| client.download_file(key, file, digest: digest, report: report) }
      end
      file.rewind
      written[:digest]
    end

    def progress_of(key)
      notifications = ActiveSupport::Notifications
      return unless notifications.notifier.listening?(PROGRESS_EVENT)

      lambda do |bytes, total|
        notifications.instrument(PROGRESS_EVENT, key: key, bytes: bytes, total: total, service: name)
      end
    end

    def notify_of_failed_index(key, stored)
      return unless stored[:index_error]

      ActiveSupport::Notifications.instrument(INDEX_FAILED_EVENT, key: key, service: name,
                                                                  error: stored[:index_error].message)
    end

    def decrypting(key, range: nil, &)
      translate_errors { ::EncryptedS3Service::DecryptionEvents.decrypt(key, service: name, range: range, &) }
    end

    def translate_errors(&) = ::EncryptedS3Service::ActiveStorageErrors.translate(&)
  end
end
