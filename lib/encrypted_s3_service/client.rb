# frozen_string_literal: true

require_relative "configuration/confidential"
require_relative "configuration"
require_relative "errors"
require_relative "garbage"
require_relative "reader"
require_relative "text"

module EncryptedS3Service
  # Stores and reads encrypted objects in one bucket, or in one folder, without Rails. A client can be shared by threads
  # and used after a fork.
  #
  # @example
  #   client = EncryptedS3Service::Client.new(bucket: "files", region: "eu-central-1", encryption_key: "base64:…")
  #   File.open("report.pdf", "rb") { |file| client.upload("reports/1", file) }
  #   client.download("reports/1") { |chunk| socket.write(chunk) }
  class Client
    # These files reopen the class. Required outside of it, they would trigger its autoload.
    require_relative "client/amazon_names"
    require_relative "client/arguments"
    require_relative "client/checksum"
    require_relative "client/custodied_keys"
    require_relative "client/download"
    require_relative "client/index"
    require_relative "client/rewrap"
    require_relative "client/upload_source"
    require_relative "client/versions"

    include Confidential
    include AmazonNames
    include Arguments
    include Index
    include Rewrap
    include Versions

    # The largest plaintext of an object in bytes: the limit of AES-GCM for one key and nonce (NIST SP 800-38D).
    MAXIMUM_SIZE = (1 << 36) - 32

    # Facts from an object's headers, not authenticated.
    # @!attribute size [Integer, nil] bytes of the plaintext; nil for a legacy object without a recorded size
    # @!attribute etag [String] the store's entity tag, with quotes
    # @!attribute format [String, nil] `"v2"`, `"v3"` or `"v1"`; nil when the metadata do not show it
    # @!attribute key_id [String, nil] the id of the wrapping key
    Stat = Data.define(:size, :etag, :format, :key_id)

    # Stored size and user metadata of an object.
    # @!attribute size [Integer] bytes of the stored body
    # @!attribute entries [Hash{String => String}] user metadata, names without the `x-amz-meta-` prefix
    Stored = Data.define(:size, :entries)

    # @return [Configuration]
    attr_reader :configuration

    # Checks the settings. Makes no request and starts no thread.
    # @param configuration [Configuration, nil] used instead of options
    # @param options [Hash{Symbol => Object}] see {Configuration#initialize}
    # @raise [ConfigurationError]
    def initialize(configuration = nil, **options)
      @configuration = configuration || Configuration.new(**options)
      # While assets are precompiled there may be no key yet. The first use then raises.
      return unless @configuration.complete?

      @custodied = CustodiedKeys.new(@configuration) if @configuration.keys_in_custody?
      @native = build_native unless @custodied
    end

    # Encrypts and stores `io` from its current position to its end. An existing object under the same key is replaced
    # only when the upload is complete; a failed or interrupted upload leaves nothing behind.
    #
    # @param key [String] UTF-8
    # @param io [#read] read by `read(length, buffer)`; neither rewound nor closed. A plain File or Tempfile is read by
    #   Rust and left at its end
    # @param checksum [String, nil] Base64 of the MD5 of the plaintext, or `sha256:` or `sha512:` and the Base64 of that
    #   digest; compared with the content and never sent
    # @param content_type [String, nil] content type in the store, without control characters; nil means
    #   `application/octet-stream`
    # @param progress [#call, nil] called after each step with the plaintext bytes stored so far and the total, which is
    #   nil when unknown
    # @return [Hash{Symbol => Object}] `bytes:` (Integer, plaintext size) and `etag:` (String); for a large object also
    #   `indexed:` (Boolean, whether its segment map is stored beside it) and, if not, `index_error:` ({Error})
    # @raise [ArgumentError] for a key that ends in `.segments`, because such keys belong to the segment maps of other
    #   objects, and for an invalid content type
    # @raise [ChecksumError] when the content does not match the checksum
    # @raise [UnsupportedOperationError] when the checksum's digest is not supported
    # @raise [TooLargeError] when the plaintext exceeds {MAXIMUM_SIZE}; nothing is stored then
    # @raise [Error]
    def upload(key, io, checksum: nil, content_type: nil, progress: nil)
      expected = Checksum.parse(checksum)
      source = UploadSource.new(io)
      total = source.remaining
      refuse_too_large(key, total)
      sending(key, checksum: expected&.to_s, content_type: content_type, size: total) do |upload|
        source.transfer(upload, configuration.part_size) { progress&.call(upload.bytes_sent, total) }
        upload.finish.tap { |result| progress&.call(result[:bytes], total) }
      end
    end

    # Reads and decrypts an object. No byte is returned before it is authenticated. Legacy objects (AES-CBC), which
    # `security_profile` must allow, cannot be authenticated: their bytes are returned when the whole object was
    # decrypted and its padding is valid, which does not detect changes in the middle.
    #
    # @param key [String] UTF-8
    # @param report [Hash{Symbol => Object}, nil] filled before any byte is returned: `format:` (`"v2"`, `"v3"`; `"v1"`
    #   for a legacy object), `key_id:` (String or nil), `current:` (whether that is the writing key; nil in V1) and
    #   `size:` (Integer, bytes of the whole plaintext)
    # @yieldparam chunk [String] binary; 5 MiB, the last one may be shorter; not called for an empty object
    # @return [String, nil] the whole object, binary; nil with a block
    # @raise [NotFoundError]
    # @raise [IntegrityError] before the first byte is returned, when the object was changed or is truncated
    # @raise [Error]
    def download(key, report: nil)
      handle = opened(key, report)
      return read_all(handle) unless block_given?

      while (chunk = handle.read)
        yield chunk
        length = chunk.bytesize
        chunk = nil # otherwise the collection would not free it
        Garbage.made(length)
      end
    ensure
      handle&.close
    end

    # Opens an object for reading step by step.
    #
    # @param key [String] UTF-8
    # @param report [Hash, nil] see {#download}
    # @param as [Class] {Reader} or a subclass of it
    # @param likely [Range<Integer>, nil] the bytes that will probably be read. The reader still begins with the first
    #   byte of the object; with this, fewer bytes of a large object are fetched
    # @return [Reader] must be closed
    # @raise [NotFoundError]
    # @raise [Error]
    def reader(key, report: nil, as: Reader, likely: nil)
      as.new(opened(key, report, *(first_and_length(likely) if likely)))
    end

    # Reads and decrypts an object into a file, written by Rust.
    #
    # A large object is written while it is read, and its tag is checked at the end: do not use the file before this
    # method has returned. After an exception, including a timeout, a file that was positioned at its end has its former
    # content again. Into a file that is positioned elsewhere only authenticated bytes are written; after an exception
    # its content is undefined. A process that is killed leaves a part of the plaintext in the file: write into a
    # temporary file, and rename it afterwards.
    #
    # @param key [String] UTF-8
    # @param file [File, Tempfile] open for writing in binary mode; written from its current position and left after the
    #   last byte
    # @param digest [String, nil] the digest of the plaintext to compute: `"md5"`, `"sha256"` or `"sha512"`
    # @param report [Hash, nil] see {#download}
    # @return [Hash{Symbol => Object}] `bytes:` (Integer) and `digest:` (Base64 String, or nil)
    # @raise [ArgumentError] for a pipe, a socket, or an object that is no file
    # @raise [NotFoundError]
    # @raise [IntegrityError]
    # @raise [FileError] when the file cannot be written
    # @raise [UnsupportedOperationError] for another digest
    # @raise [Error]
    def download_file(key, file, digest: nil, report: nil)
      refuse_other_than_file(file)
      file.flush
      written = unwrapping(key) { |native| native.download_file(object_key(key), file.fileno, digest) }
      used = written.delete(:used)
      report&.merge!(used, size: written[:bytes])
      written
    end

    # @param key [String] UTF-8
    # @param range [Range<Integer>] bytes of the plaintext; can be endless, exclude its end, or exceed the object's end
    # @param report [Hash, nil] see {#download}
    # @return [String] binary and authenticated; empty for an empty range
    # @raise [ArgumentError] when the bounds are not integers of at least 0
    # @raise [InvalidRangeError] when the range begins at or after the object's end
    # @raise [NotFoundError]
    # @raise [Error]
    def download_chunk(key, range, report: nil)
      first, length = first_and_length(range)
      return String.new(encoding: Encoding::BINARY) if length&.zero?

      handle = opened(key, report, first, length)
      handle.begin_at(first, length)
      read_all(handle, [length, handle.size].compact.min)
    ensure
      handle&.close
    end

    # @param key [String] UTF-8
    # @return [Boolean] false for the key of a segment map
    # @raise [Error]
    def exist?(key)
      head = keyless.head(object_key(key))
      !head.nil? && (!head[:format].nil? || !segment_map?(key))
    end

    # @param key [String] UTF-8
    # @return [Integer, nil] bytes of the plaintext; nil for a legacy object (AES-CBC) without a recorded size
    # @raise [NotFoundError]
    # @raise [Error]
    def size(key) = stat(key).size

    # @param key [String] UTF-8
    # @return [Stat] facts from the object's headers; not authenticated
    # @raise [NotFoundError]
    # @raise [TruncatedError] when it is too short for an encrypted object
    # @raise [Error]
    def stat(key) = stat_and_envelope(key).first

    # @param key [String] UTF-8
    # @return [Array(Stat, Rewrap::Envelope)] both from one HEAD request
    # @raise (see #stat)
    # @api private
    def stat_and_envelope(key)
      head = keyless.head(object_key(key)) or raise NotFoundError, "There is no object #{key.inspect}."

      # Objects that were stored under such a key before there were segment maps have an envelope.
      refuse_segment_map(key) if head[:format].nil? && segment_map?(key)
      # Legacy objects (AES-CBC) are padded, and not every writer records the plaintext size.
      if head[:size].nil? && head[:format] != "v1"
        raise TruncatedError, "The object #{key.inspect} is too short to be an encrypted object."
      end

      [Stat, Envelope].map { |facts| facts.new(**head.slice(*facts.members)) }
    end

    # Reads an object's metadata: its envelope and other entries. They are not authenticated.
    #
    # @param key [String] UTF-8
    # @return [Stored]
    # @raise [NotFoundError]
    # @raise [Error]
    def metadata(key)
      size, entries = keyless.metadata(object_key(key))
      raise NotFoundError, "There is no object #{key.inspect}." unless size

      Stored.new(size: size, entries: entries)
    end

    # Deletes an object and its segment map, and its instruction file if the configuration enables instruction files.
    #
    # @param key [String] UTF-8; an object that does not exist is not an error
    # @return [nil]
    # @raise [Error]
    def delete(key)
      keyless.delete(object_key(key))
      nil
    end

    # Deletes all objects whose keys begin with a prefix.
    #
    # @param prefix [String] UTF-8
    # @return [nil]
    # @raise [ArgumentError] when the prefix is empty, because that would delete everything
    # @raise [Error]
    def delete_prefixed(prefix)
      keyless.delete_prefixed(object_key(prefix))
      nil
    end

    # Concatenates objects into a new one. The sources are decrypted and encrypted again chunk by chunk.
    #
    # @param source_keys [Array<String>] the sources, in order
    # @param destination_key [String]
    # @param content_type [String, nil] as in {#upload}
    # @param reading [#call] called for each source with its key and a block that reads it; the block takes a `report`
    #   as in {#download}
    # @return [Hash{Symbol => Object}] as in {#upload}
    # @raise [NotFoundError] when a source is missing; nothing is stored then
    # @raise [Error]
    def compose(source_keys, destination_key, content_type: nil, reading: ->(_key, &read) { read.call(nil) })
      sending(destination_key, checksum: nil, content_type: content_type) do |upload|
        source_keys.each do |key|
          reading.call(key) { |report| download(key, report: report) { |chunk| upload.write(chunk) } }
        end
        upload.finish
      end
    end

    # @param key [String] UTF-8
    # @return [Boolean] whether the object under this key is the segment map of another object
    # @raise [Error]
    # @api private
    def segment_map?(key)
      full = object_key(key)
      full.end_with?(Configuration::SEGMENTS_SUFFIX) && keyless.segment_map?(full)
    end

    private

    def public_attributes
      { bucket: configuration.bucket, root: configuration.root, region: configuration.region,
        endpoint: configuration.endpoint }.compact
    end

    def native = @native || @custodied&.native || build_native

    # For requests that need no key, so that they work while the custodian of the keys is down.
    def keyless = @native || @custodied&.keyless || build_native

    def build_native = Native::Client.new(configuration.to_native)

    # If the custodian did not return the key that an object names, the custodian's error replaces the failed
    # unwrapping.
    # @yieldparam native [Native::Client]
    def unwrapping(key)
      with_keys = native
      begin
        yield with_keys
      rescue KeyringError => e
        raise @custodied&.refusal { stat(key).key_id } || e
      end
    end

    # @return [Download]
    def opened(key, report, first = 0, length = nil)
      handle = unwrapping(key) { |native| Download.new(native.download(object_key(key), first, length), key) }
      handle.tap { report&.merge!(handle.used, size: handle.size) }
    rescue EnvelopeError
      refuse_segment_map(key) if segment_map?(key)
      raise
    end

    def refuse_segment_map(key)
      raise NotFoundError, "There is no object #{key.inspect}: it is the segment map of the object " \
                           "#{key.delete_suffix(Configuration::SEGMENTS_SUFFIX).inspect}."
    end

    # Yields an upload and aborts it unless the block finishes, even if it is left by `throw` or a killed thread.
    def sending(key, checksum:, content_type:, size: nil)
      upload = native.upload(new_object_key(key), { content_type: type_in_store(content_type), checksum: checksum,
                                                    size: size, settings: configuration.object_settings })
      result = yield upload
      finished = true
      warn_of_missing_index(key, result[:index_error])
      result
    ensure
      warn_of_stored(key) if upload && !finished && upload.abort
    end

    # A caller that interrupted the upload may assume that nothing was stored.
    def warn_of_stored(key)
      EncryptedS3Service.logger.warn("The upload of #{key.inspect} was interrupted after its last request was sent. " \
                                     "The store has carried it out: the object is stored.")
    end

    # A warning and no error, because the upload has succeeded.
    def warn_of_missing_index(key, error)
      return unless error

      EncryptedS3Service.logger.warn("The object #{key.inspect} is stored, but its segment map is not: " \
                                     "#{error.message}. Parts of it are read more slowly until " \
                                     "`rails encrypted_s3_service:index` has stored the map.")
    end

    # The memory grows with the bytes that arrive, not with the size that the store reports.
    def read_all(handle, most = handle.size)
      data = handle.read_up_to(most) || String.new(encoding: Encoding::BINARY)
      while data.bytesize < most && (chunk = handle.read_up_to(most - data.bytesize))
        data << chunk
      end
      data
    end
  end
end
