# frozen_string_literal: true

require "stringio"
require_relative "../errors"

module EncryptedS3Service
  # Stands in for the Aws::S3::Object that code for Active Storage's S3Service finds in `service.bucket.object(key)`. It
  # reads and writes plaintext. Methods that cannot work with encrypted objects raise and name the alternative.
  class StoredObject
    # The result of {#get}.
    # @!attribute [r] body [IO] the plaintext, at its beginning
    # @!attribute [r] content_length [Integer] bytes of the plaintext
    # @!attribute [r] content_type [String]
    # @!attribute [r] etag [String] the store's entity tag, with quotes
    Output = Struct.new(:body, :content_length, :content_type, :etag, keyword_init: true)

    # Unsupported methods of Aws::S3::Object, with the reason and the alternative.
    INSTEAD = {
      presigned_url: "the store would serve ciphertext or store plaintext. Use `blob.url`, or " \
                     "`blob.service_url_for_direct_upload` for uploads",
      presigned_request: "the store would serve ciphertext or store plaintext. Use `blob.url`",
      presigned_post: "a form sent to the store would store plaintext. Use Active Storage's direct uploads",
      public_url: "the store would serve ciphertext. Use `blob.url`, which never expires with `public: true`",
      acl: "a public object would show ciphertext. Set `public: true` in config/storage.yml for URLs that " \
           "never expire",
      copy_to: "a copy made by the store is not encrypted for its new key. Use `service.compose([key], new_key)`",
      copy_from: "a copy made by the store is not encrypted for its new key. Use `service.compose([key], new_key)`",
      move_to: "a copy made by the store is not encrypted for its new key. Use `service.compose([key], new_key)` and " \
               "`service.delete(key)`",
      initiate_multipart_upload: "parts sent to the store would be plaintext. Use `service.upload(key, io)`, which " \
                                 "sends large files in parts",
      upload_stream: "use `service.upload(key, io)` with the reading end of a pipe (IO.pipe)",
      multipart_upload: "parts sent to the store would be plaintext. Use `service.upload(key, io)`",
      last_modified: "the time is not available. Use `blob.created_at`",
      **%i[restore restore_object].to_h { |name| [name, "use the tools of your store"] },
      **%i[wait_until wait_until_exists wait_until_not_exists].to_h { |name| [name, "use `exists?`"] },
      **%i[data data_loaded? reload].to_h { |name| [name, "use `head`, which sends a request each time"] },
      **%i[version version_id].to_h { |name| [name, "keys are never written twice, so use the key"] },
      **%i[
        checksum_crc32 checksum_crc32c checksum_crc64nvme checksum_md5 checksum_sha1 checksum_sha256 checksum_sha512
        checksum_type checksum_xxhash3 checksum_xxhash64 checksum_xxhash128
      ].to_h do |name|
        [name, "the store's checksum is that of the ciphertext. Use `blob.checksum`"]
      end,
      **%i[
        accept_ranges archive_status bucket_key_enabled cache_control content_disposition content_encoding
        content_language content_range delete_marker expiration expires expires_string missing_meta
        object_lock_event_hold object_lock_event_hold_duration_days object_lock_event_hold_duration_years
        object_lock_legal_hold_status object_lock_mode object_lock_retain_until_date parts_count replication_status
        request_charged server_side_encryption sse_customer_algorithm sse_customer_key_md5 ssekms_key_id storage_class
        tag_count website_redirect_location
      ].to_h { |name| [name, "the store is not asked. Active Storage keeps the properties of a file in its blob"] }
    }.freeze

    # Options of Aws::S3::Object that choose another version or a part, or make a request depend on a version. Without
    # them another object would be read, replaced or deleted. Options of other kinds (types, metadata, checksums of the
    # ciphertext) are ignored, because the store does not get them.
    DECISIVE = %i[
      version_id part_number if_match if_none_match if_modified_since if_unmodified_since if_match_last_modified_time
      if_match_size
    ].freeze
    private_constant :INSTEAD, :DECISIVE

    # @return [String]
    attr_reader :key
    # @return [Bucket]
    attr_reader :bucket

    # @param key [String]
    # @param bucket [Bucket]
    # @param service [ActiveStorage::Service::EncryptedS3Service]
    # @api private
    def initialize(key, bucket, service)
      @key = key
      @bucket = bucket
      @service = service
    end

    # @return [String]
    def bucket_name = bucket.name

    # @return [Client]
    def client = bucket.client

    # @return [Boolean]
    def exists? = @service.exist?(key)

    # @return [Integer, nil] bytes of the plaintext; nil for a legacy object without a recorded size
    # @raise [ActiveStorage::FileNotFoundError]
    def content_length = head.size
    alias size content_length

    # @return [String] the store's entity tag of the ciphertext, with quotes
    # @raise [ActiveStorage::FileNotFoundError]
    def etag = head.etag

    # @return [String] the content type in the store; the file's own type is in its blob
    def content_type = "application/octet-stream"

    # @return [Hash] always empty: the store has no metadata of the file
    def metadata = {}

    # @return [Client::Stat] size, entity tag, format and key id
    # @raise [ActiveStorage::FileNotFoundError]
    # @raise [UnsupportedOperationError] for an option that chooses a version or depends on one
    def head(**options)
      refuse_decisive(:head, options)
      @service.stat(key)
    end

    # @return [self]
    # @raise [ActiveStorage::FileNotFoundError]
    def load = head && self

    # Reads the plaintext.
    # @param response_target [IO, String, Pathname, nil] IO or path to write to; nil reads into memory
    # @param range [String, nil] value of a Range header, for example `"bytes=0-99"`
    # @yieldparam chunk [String]
    # @return [Output]
    # @raise [ActiveStorage::FileNotFoundError]
    # @raise [ActiveStorage::IntegrityError]
    # @raise [InvalidRangeError] when the range is not one range within the object
    # @raise [UnsupportedOperationError] for an option that chooses a version or a part, or depends on a version
    def get(response_target: nil, range: nil, **options, &block)
      refuse_decisive(:get, options)
      stat = head
      block ? each_chunk(range, stat, &block) : body = read_to(response_target, range, stat)
      Output.new(body: body, content_length: body.respond_to?(:size) ? body.size : stat.size,
                 content_type: content_type, etag: stat.etag)
    end

    # @param path [String, Pathname, IO] where to write the plaintext
    # @return [Boolean] true
    # @raise [ActiveStorage::FileNotFoundError]
    # @raise [ActiveStorage::IntegrityError]
    # @raise [UnsupportedOperationError] for an option that chooses a version or a part, or depends on a version
    def download_file(path, **options)
      refuse_decisive(:download_file, options)
      read_to(path, nil, nil)
      true
    end

    # @param path [String, Pathname, IO] where to read the plaintext
    # @return [Boolean] true
    # @raise [UnsupportedOperationError] for an option that depends on a version
    def upload_file(path, **options)
      refuse_decisive(:upload_file, options)
      path.respond_to?(:read) && !path.is_a?(Pathname) ? @service.upload(key, path) : upload_path(path)
      true
    end

    # @param body [String, IO] the plaintext
    # @param content_md5 [String, nil] Base64 of the MD5 of the plaintext; not sent to the store
    # @return [void]
    # @raise [ActiveStorage::IntegrityError] when the body has another MD5; nothing is stored then
    # @raise [UnsupportedOperationError] for an option that depends on a version
    def put(body: "", content_md5: nil, **options)
      refuse_decisive(:put, options)
      @service.upload(key, body.respond_to?(:read) ? body : StringIO.new(body.to_s), checksum: content_md5)
    end

    # @return [void]
    # @raise [UnsupportedOperationError] for an option that chooses a version or depends on one
    def delete(**options)
      refuse_decisive(:delete, options)
      @service.delete(key)
    end

    INSTEAD.each do |method, instead|
      # @raise [UnsupportedOperationError] always
      define_method(method) do |*, **|
        raise UnsupportedOperationError, "EncryptedS3 has no Object##{method}: #{instead}."
      end
    end

    # @return [String]
    def inspect = "#<#{self.class.name} bucket_name=#{bucket_name.inspect} key=#{key.inspect}>"

    private

    def refuse_decisive(method, options)
      name = DECISIVE.find { |option| !options[option].nil? } or return

      raise UnsupportedOperationError, "EncryptedS3 has no option #{name} of Object##{method}. It is not ignored, " \
                                       "because it can ask for another object. Remove it, or use the tools of your " \
                                       "store."
    end

    def upload_path(path) = File.open(path, "rb") { |file| @service.upload(key, file) }

    def read_to(target, range, stat)
      return StringIO.new(range ? read(range, stat) : @service.download(key)) if target.nil?
      return write_to_file(target, range, stat) unless target.respond_to?(:write) && !target.is_a?(Pathname)

      each_chunk(range, stat) { |chunk| target.write(chunk) }
      target
    end

    # A file that exists keeps its content when the object is missing or was changed.
    def write_to_file(path, range, stat)
      file = nil
      each_chunk(range, stat) { |chunk| (file ||= File.open(path, "wb")).write(chunk) }
      file ||= File.open(path, "wb")
      file.close
      File.open(path, "rb")
    ensure
      file&.close
    end

    def each_chunk(range, stat, &)
      range ? yield(read(range, stat)) : @service.download(key, &)
    end

    def read(range, stat)
      wanted = Rack::Utils.get_byte_ranges(range, stat.size)
      unless wanted&.one?
        raise InvalidRangeError, "The range #{range} is not one range within the #{stat.size} bytes of #{key}."
      end

      @service.download_chunk(key, wanted.first)
    end
  end
end
