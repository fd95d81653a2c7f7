# frozen_string_literal: true

require "encrypted_s3_service"
require "encrypted_s3_service/decryption_events"
require "encrypted_s3_service/load_order"
require "encrypted_s3_service/service/active_storage_errors"
require "encrypted_s3_service/service/s3_service_names"
require "encrypted_s3_service/serving/urls"

EncryptedS3Service::LoadOrder.check

# Rails' framework for attached files.
module ActiveStorage
  # Stores files on S3, or on what speaks its protocol, encrypted by this application in Amazon's S3 EncryptionV2
  # envelope format. See ActiveStorage::Service for the methods' common meaning.
  #
  # S3 is told neither a file's name nor its type nor its metadata.
  class Service::EncryptedS3Service < Service
    include ::EncryptedS3Service::S3ServiceNames

    # Announces the progress of uploads: `key`, `bytes` (stored so far, of the plaintext), `total` (or nil) and
    # `service` (the name in storage.yml).
    PROGRESS_EVENT = "transfer_progress.encrypted_s3_service"

    # @return [::EncryptedS3Service::Client] the same without Rails
    attr_reader :client

    # @param client [::EncryptedS3Service::Client, nil] instead of options
    # @param options [Hash{Symbol => Object}] see EncryptedS3Service::Configuration
    # @raise [::EncryptedS3Service::ConfigurationError]
    def initialize(client: nil, **options)
      super()
      @client = client || ::EncryptedS3Service::Client.new(configuration_of(options))
      @public = @client.configuration.public?
    end

    # @param key [String]
    # @param io [#read] read from its position to its end; neither rewound nor closed
    # @param checksum [String, nil] Base64 of the MD5 of the plaintext; see EncryptedS3Service::Client#upload for others
    # @return [void]
    # @raise [ActiveStorage::IntegrityError] when the bytes do not have the checksum; then nothing is stored
    def upload(key, io, checksum: nil, **)
      instrument :upload, key: key, checksum: checksum do
        translate_errors { client.upload(key, io, checksum: checksum, progress: progress_of(key)) }
      end
    end

    # @param key [String]
    # @yieldparam chunk [String] binary, of exactly 5 MiB, the last one the rest
    # @return [String, nil] the whole file without a block
    # @raise [ActiveStorage::FileNotFoundError]
    # @raise [ActiveStorage::IntegrityError] before anything is handed out
    def download(key, &)
      instrument block_given? ? :streaming_download : :download, key: key do
        decrypting(key) { |report| client.download(key, report: report, &) }
      end
    end

    # Rails' own way to a temporary file with the plaintext, without Ruby in between (ActiveStorage::Downloader until
    # Rails 8.1, ActiveStorage::Service from 8.2 on).
    #
    # @param key [String]
    # @param checksum [String, nil] Base64 of the MD5 of the plaintext. Composed blobs and variants that are not tracked
    #   have none, and Rails mirrors them all the same: the authentication of the content has to be enough for them
    # @param verify [Boolean] whether the checksum is compared. Beside the authentication of the content this notices an
    #   object that was put in the place of another
    # @param name [String, Array<String>] as Tempfile takes it
    # @param tmpdir [String, nil]
    # @yieldparam file [Tempfile] at its beginning; removed after the block
    # @return [Object] what the block returns; without a block the Tempfile
    # @raise [ActiveStorage::FileNotFoundError]
    # @raise [ActiveStorage::IntegrityError]
    def open(key, checksum: nil, verify: true, name: "ActiveStorage-", tmpdir: nil)
      file = Tempfile.open(name, tmpdir).tap(&:binmode)
      expected = ::EncryptedS3Service::Checksum.parse(checksum) if verify
      md5 = fill(file, key, digest: expected&.md5)
      translate_errors { verify_checksum(file, md5, expected) } if expected
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
    # @raise [::EncryptedS3Service::InvalidRangeError] when it begins at or after the end
    def download_chunk(key, range)
      instrument :download_chunk, key: key, range: range do
        decrypting(key, range: range) { |report| client.download_chunk(key, range, report: report) }
      end
    end

    # @param source_keys [Array<String>]
    # @param destination_key [String]
    # @return [void]
    # @raise [ActiveStorage::FileNotFoundError] when a source is missing; then nothing is stored
    def compose(source_keys, destination_key, **)
      reading = ->(key, &read) { decrypting(key, &read) }
      translate_errors { client.compose(source_keys, destination_key, reading: reading) }
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

    # Reads a file at the caller's own pace; see EncryptedS3Service::Reader. The event ends when the file is opened.
    #
    # @param key [String]
    # @return [::EncryptedS3Service::ActiveStorageErrors::Reader] to be closed
    # @raise [ActiveStorage::FileNotFoundError]
    def reader(key)
      instrument :streaming_download, key: key do
        decrypting(key) do |report|
          client.reader(key, report: report, as: ::EncryptedS3Service::ActiveStorageErrors::Reader)
        end
      end
    end

    # @param key [String]
    # @return [::EncryptedS3Service::Client::Stat] size of the plaintext and entity tag
    # @raise [ActiveStorage::FileNotFoundError]
    def stat(key) = translate_errors { client.stat(key) }

    # The address that a browser sends a file to: one of the application, which encrypts and stores it. A presigned URL
    # of the store would have the browser store plaintext.
    #
    # @param key [String]
    # @param expires_in [ActiveSupport::Duration, Integer] seconds
    # @param content_type [String]
    # @param content_length [Integer] bytes
    # @param checksum [String] Base64 of the MD5
    # @return [String]
    # @raise [ArgumentError] when nothing says which host the application has
    def url_for_direct_upload(key, expires_in:, content_type:, content_length:, checksum:, **)
      expected = { content_type: content_type, content_length: content_length, checksum: checksum }
      instrument :url, key: key do |payload|
        payload[:url] = urls.direct_upload(key, expected, expires_in: expires_in)
      end
    end

    # @return [Hash{String => String}] what the browser has to send with a file
    def headers_for_direct_upload(_key, content_type: nil, **)
      { "Content-Type" => content_type.presence || "application/octet-stream" }
    end

    # @return [String] what may be shown of it, which is no secret
    def inspect = "#<#{self.class.name} name=#{name.inspect} bucket=#{client.configuration.bucket.inspect}>"

    private

    # Rails builds services where no secret is: when it loads a class that names one, in specs and in images.
    def configuration_of(options)
      ::EncryptedS3Service::Configuration.new(::EncryptedS3Service::Configuration::Tolerance.tolerated?, **options)
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

    def urls = ::EncryptedS3Service::Serving::Urls.new(name)

    # Asked by Rails from 8.2 on. Nothing of the metadata is stored with the object, so nothing has to follow it.
    def update_metadata_for(_key, **); end

    def fill(file, key, digest:)
      written = instrument :streaming_download, key: key do
        decrypting(key) { |report| client.download_file(key, file, digest: digest, report: report) }
      end
      file.rewind
      written[:md5]
    end

    # Only an MD5 is computed on the way; a file with another checksum is read once more.
    def verify_checksum(file, md5, expected)
      expected.check(md5 || expected.digest.file(file.path).base64digest)
    end

    def progress_of(key)
      notifications = ActiveSupport::Notifications
      return unless notifications.notifier.listening?(PROGRESS_EVENT)

      lambda do |bytes, total|
        notifications.instrument(PROGRESS_EVENT, key: key, bytes: bytes, total: total, service: name)
      end
    end

    def decrypting(key, range: nil, &)
      translate_errors { ::EncryptedS3Service::DecryptionEvents.decrypt(key, service: name, range: range, &) }
    end

    def translate_errors(&) = ::EncryptedS3Service::ActiveStorageErrors.translate(&)
  end
end
