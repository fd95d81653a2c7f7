# frozen_string_literal: true

module EncryptedS3Service
  # One object being read at the reader's own pace. Made by {Client#reader}; to be closed.
  class Reader
    # @return [Integer] bytes of the plaintext
    attr_reader :size

    # @return [String] the store's entity tag of the version that is read, with its quotes
    attr_reader :etag

    # @param native [Native::Download]
    # @api private
    def initialize(native)
      @native = native
      @size = native.size
      @etag = native.etag
    end

    # @param most [Integer] bytes; no call gives more than 5 MiB
    # @return [String, nil] the next bytes, binary and authenticated; nil after the last
    # @raise [IntegrityError] before the first byte, when the object is not what was stored
    # @raise [Error]
    def read(most) = @native.read_up_to(most)

    # Passes over bytes, or over what is left of them.
    # @param bytes [Integer]
    # @return [void]
    # @raise (see #read)
    def skip(bytes)
      @native.skip(bytes)
    end

    # Frees the connection and the memory.
    # @return [void]
    def close
      @native.close
    end
  end
end
