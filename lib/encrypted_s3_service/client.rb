# frozen_string_literal: true

require_relative "client/checksum"
require_relative "client/rewrap"
require_relative "configuration/confidential"
require_relative "configuration"
require_relative "errors"
require_relative "reader"
require_relative "client/upload_source"

module EncryptedS3Service
  # Stores and reads encrypted objects in one bucket; needs no Rails. One client may be used by several threads at once
  # and in forked children.
  #
  # @example
  #   client = EncryptedS3Service::Client.new(bucket: "files", region: "eu-central-1", encryption_key: "base64:…")
  #   File.open("report.pdf", "rb") { |file| client.upload("reports/1", file) }
  #   client.download("reports/1") { |chunk| socket.write(chunk) }
  class Client
    include Confidential
    include Rewrap

    # The most that one object can hold, in bytes: what AES-GCM can encrypt under one key and nonce (NIST SP 800-38D).
    MAXIMUM_SIZE = (1 << 36) - 32

    # What is known of an object without reading it.
    # @!attribute size [Integer, nil] bytes of the plaintext; nil for a legacy object whose writer did not note it
    # @!attribute etag [String] the store's entity tag, with its quotes
    # @!attribute format [String, nil] `"v2"`, `"v3"`, `"v1"`; nil when the metadata do not say
    # @!attribute key_id [String, nil] the id of the key that the object asks for
    Stat = Data.define(:size, :etag, :format, :key_id)

    # What the store holds of an object besides its body.
    # @!attribute size [Integer] bytes of the body as it is stored
    # @!attribute entries [Hash{String => String}] user metadata, names without the `x-amz-meta-` prefix
    Stored = Data.define(:size, :entries)

    # @return [Configuration]
    attr_reader :configuration

    # Checks the settings and does nothing else: no request, no thread.
    # @param configuration [Configuration, nil] instead of options
    # @param options [Hash{Symbol => Object}] see {Configuration#initialize}
    # @raise [ConfigurationError]
    def initialize(configuration = nil, **options)
      @configuration = configuration || Configuration.new(**options)
      # Where assets are precompiled there may be no key yet. The first use then says so.
      @native = build_native if @configuration.complete?
    end

    # Encrypts and stores what `io` has from its position to its end. An object under the same key is replaced only
    # when all of it has arrived; after any failure or interruption nothing of the new one is left.
    #
    # @param key [String] UTF-8
    # @param io [#read] asked by `read(length, buffer)` only; neither rewound nor closed. A plain File or Tempfile is
    #   read without Ruby and left at its end
    # @param checksum [String, nil] Base64 of the MD5 of the plaintext, or `sha256:` and the Base64 of its SHA-256
    #   (`sha512:` likewise); it is compared, never sent
    # @param content_type [String, nil] what S3 is told, as it is; nil is `application/octet-stream`
    # @param progress [#call, nil] called after each step with the plaintext bytes that S3 has, and how many there will
    #   be or nil
    # @return [Hash{Symbol => Object}] `bytes:` (Integer, of the plaintext) and `etag:` (String)
    # @raise [ChecksumError] when the bytes do not have the checksum
    # @raise [UnsupportedOperationError] when the checksum is of another kind
    # @raise [TooLargeError] when there are more than {MAXIMUM_SIZE}; then nothing is stored
    # @raise [Error]
    def upload(key, io, checksum: nil, content_type: nil, progress: nil)
      expected = Checksum.parse(checksum)
      digest = expected&.digest
      source = UploadSource.new(io, digest: digest)
      sending(key, checksum: expected&.md5, content_type: content_type) do |upload|
        total = source.remaining
        refuse_too_large(key, total)
        source.transfer(upload, configuration.part_size) { progress&.call(upload.bytes_sent, total) }
        expected.check(digest.base64digest) if digest
        upload.finish.tap { |result| progress&.call(result[:bytes], total) }
      end
    end

    # Reads and decrypts an object; no byte is handed out before it is authenticated. Legacy objects (AES-CBC), read
    # where `security_profile` says so, hold nothing to authenticate them: their bytes are handed out once the whole
    # object was decrypted and its padding found right, which a change in its middle does not disturb.
    #
    # @param key [String] UTF-8
    # @param report [Hash{Symbol => Object}, nil] is told how the object was opened, before any byte is handed out:
    #   `format:` (`"v2"`, `"v3"`; `"v1"` for a legacy object), `key_id:` (String or nil), `current:` (whether that is
    #   the key that new objects get; nil in V1) and `size:` (Integer, bytes of the whole plaintext)
    # @yieldparam chunk [String] binary, of exactly 5 MiB, the last one the rest; nothing for an empty object
    # @return [String, nil] the whole object, binary; nil with a block
    # @raise [NotFoundError]
    # @raise [IntegrityError] before the first byte is handed out, when the object is not what was stored
    # @raise [Error]
    def download(key, report: nil)
      handle = opened(key, report)
      return read_all(handle) unless block_given?

      while (chunk = handle.read)
        yield chunk
      end
    ensure
      handle&.close
    end

    # Reads an object at the caller's own pace, from anywhere in it.
    #
    # @param key [String] UTF-8
    # @param report [Hash, nil] see {#download}
    # @param as [Class] {Reader} or a subclass of it
    # @return [Reader] to be closed
    # @raise [NotFoundError]
    # @raise [Error]
    def reader(key, report: nil, as: Reader) = as.new(opened(key, report))

    # Reads and decrypts an object into a file, without Ruby; no byte of plaintext is written before all are
    # authenticated. After an exception, a timeout included, a file whose position was its end is as it was; what is
    # left in other files is undefined.
    #
    # @param key [String] UTF-8
    # @param file [File, Tempfile] open for writing in binary mode; written from its position on and left behind the
    #   last byte
    # @param digest [Boolean] whether the MD5 of the plaintext is computed on the way
    # @param report [Hash, nil] see {#download}
    # @return [Hash{Symbol => Object}] `bytes:` (Integer) and `md5:` (String of Base64, or nil)
    # @raise [NotFoundError]
    # @raise [IntegrityError]
    # @raise [FileError] when the file cannot be written
    # @raise [Error]
    def download_file(key, file, digest: false, report: nil)
      file.flush
      written = native.download_file(object_key(key), file.fileno, digest ? true : false)
      used = written.delete(:used)
      report&.merge!(used, size: written[:bytes])
      written
    end

    # @param key [String] UTF-8
    # @param range [Range<Integer>] of bytes; may be endless, may exclude its end, may reach past the object's end
    # @param report [Hash, nil] see {#download}
    # @return [String] binary and authenticated; empty for an empty range
    # @raise [ArgumentError] when it is no range of whole numbers from 0 on
    # @raise [InvalidRangeError] when it begins at or after the object's end
    # @raise [NotFoundError]
    # @raise [Error]
    def download_chunk(key, range, report: nil)
      first, length = first_and_length(range)
      return String.new(encoding: Encoding::BINARY) if length && length <= 0

      handle = opened(key, report)
      handle.begin_at([first, handle.size].min)
      read_all(handle, [length, handle.size].compact.min)
    ensure
      handle&.close
    end

    # There is no Aws::S3::Client, which code for Rails' S3Service looks for here.
    # @raise [UnsupportedOperationError] always
    def client
      raise UnsupportedOperationError, "EncryptedS3 has no Aws::S3::Client: it would read ciphertext and store " \
                                       "plaintext. Use the methods of EncryptedS3Service::Client."
    end

    # There is no Aws::S3::Resource, which code for Rails' S3Service looks for here.
    # @raise [UnsupportedOperationError] always
    def bucket(*)
      raise UnsupportedOperationError, "EncryptedS3 has no Aws::S3::Resource: it would read ciphertext and store " \
                                       "plaintext. Use `service.bucket`."
    end

    # @param key [String] UTF-8
    # @return [Boolean]
    # @raise [Error]
    def exist?(key) = !native.head(object_key(key)).nil?

    # @param key [String] UTF-8
    # @return [Integer, nil] bytes of the plaintext; nil when that cannot be told: the object is too short to be an
    #   encrypted one, or a legacy one (AES-CBC) whose writer did not note it
    # @raise [NotFoundError]
    # @raise [Error]
    def size(key) = stat(key).size

    # @param key [String] UTF-8
    # @return [Stat] what is known of an object without reading it; nothing of it is authenticated
    # @raise [NotFoundError]
    # @raise [TruncatedError] when it is too short to be one of ours
    # @raise [Error]
    def stat(key)
      head = native.head(object_key(key))
      raise NotFoundError, "there is no object #{key.inspect}" unless head
      # Legacy objects (AES-CBC) have padding, and not every writer has noted what is under it.
      if head[:size].nil? && head[:format] != "v1"
        raise TruncatedError, "object #{key.inspect} is too short to be an encrypted one"
      end

      Stat.new(**head)
    end

    # What an object's envelope is made of, and what else its writer has noted; nothing of it is authenticated.
    #
    # @param key [String] UTF-8
    # @return [Stored]
    # @raise [NotFoundError]
    # @raise [Error]
    def metadata(key)
      size, entries = native.metadata(object_key(key))
      raise NotFoundError, "there is no object #{key.inspect}" unless size

      Stored.new(size: size, entries: entries)
    end

    # Deletes an object, and its instruction file where the configuration has those read.
    #
    # @param key [String] UTF-8; nothing happens when there is no such object
    # @return [nil]
    # @raise [Error]
    def delete(key)
      native.delete(object_key(key))
      nil
    end

    # @param prefix [String] UTF-8; all objects whose keys begin with it go
    # @return [nil]
    # @raise [ArgumentError] when it is empty, which would empty the bucket
    # @raise [Error]
    def delete_prefixed(prefix)
      native.delete_prefixed(object_key(prefix))
      nil
    end

    # Puts one object together of others, which are decrypted and encrypted anew chunk by chunk.
    #
    # @param source_keys [Array<String>] in order
    # @param destination_key [String]
    # @param content_type [String, nil] as in {#upload}
    # @param reading [#call] called for each source with its key and a block that reads it, which takes a `report` as
    #   {#download} does
    # @return [Hash{Symbol => Object}] as {#upload} does
    # @raise [NotFoundError] when a source is missing; then nothing is stored
    # @raise [Error]
    def compose(source_keys, destination_key, content_type: nil, reading: ->(_key, &read) { read.call(nil) })
      sending(destination_key, checksum: nil, content_type: content_type) do |upload|
        source_keys.each do |key|
          reading.call(key) { |report| download(key, report: report) { |chunk| upload.write(chunk) } }
        end
        upload.finish
      end
    end

    private

    OCTET_STREAM = "application/octet-stream"
    private_constant :OCTET_STREAM

    def public_attributes
      { bucket: configuration.bucket, region: configuration.region, endpoint: configuration.endpoint }.compact
    end

    def native = @native || build_native

    def build_native = Native::Client.new(configuration.to_native)

    # @return [Native::Download]
    def opened(key, report)
      native.download(object_key(key)).tap { |handle| report&.merge!(handle.used, size: handle.size) }
    end

    # Yields an upload and aborts it unless the block came to its end, however it was left.
    def sending(key, checksum:, content_type:)
      upload = native.upload(object_key(key), { content_type: content_type || OCTET_STREAM, checksum: checksum,
                                                settings: configuration.object_settings })
      result = yield upload
      finished = true
      result
    ensure
      tell_of_stored(key) if upload && !finished && upload.abort
    end

    # Whoever interrupted the upload may take it for undone.
    def tell_of_stored(key)
      EncryptedS3Service.logger.warn("The upload of #{key.inspect} was interrupted after its last request was sent. " \
                                     "The store has carried it out: the object is stored.")
    end

    # Sources that do not know their size are refused when they exceed it.
    def refuse_too_large(key, size)
      return if size.nil? || size <= MAXIMUM_SIZE

      raise TooLargeError, "object #{key.inspect}: #{size} bytes are more than an encrypted object can hold " \
                           "(#{MAXIMUM_SIZE} bytes); store the file in several objects"
    end

    # The memory grows by what has arrived, not by what the store says of the size.
    def read_all(handle, most = handle.size)
      data = handle.read_up_to(most) || String.new(encoding: Encoding::BINARY)
      while data.bytesize < most && (chunk = handle.read_up_to(most - data.bytesize))
        data << chunk
      end
      data
    end

    def object_key(key)
      raise ArgumentError, "a key must be a String, not #{key.class}" unless key.is_a?(String)
      raise ArgumentError, "a key must not be empty" if key.empty?

      text = key.encoding == Encoding::BINARY ? key.dup.force_encoding(Encoding::UTF_8) : key.encode(Encoding::UTF_8)
      raise ArgumentError, "a key must be valid UTF-8" unless text.valid_encoding?

      configuration.prefix.key(text)
    rescue EncodingError
      raise ArgumentError, "a key must be valid UTF-8"
    end

    def first_and_length(range)
      first = range.begin || 0
      last = range.end
      unless first.is_a?(Integer) && (last.nil? || last.is_a?(Integer)) && !first.negative? && !last&.negative?
        raise ArgumentError, "a range must be of whole numbers from 0 on, not #{range.inspect}"
      end

      [first, last && (last - first + (range.exclude_end? ? 0 : 1))]
    end
  end
end
