# frozen_string_literal: true

require_relative "garbage"

module EncryptedS3Service
  # Reads one object step by step. Made by {Client#reader}; must be closed. {#read} works like IO#read, so that
  # IO.copy_stream and uploads can read from it.
  class Reader
    # @return [Integer] bytes of the plaintext
    attr_reader :size

    # @return [String] the store's entity tag of the version that is read, with quotes
    attr_reader :etag

    # @param native [Native::Download]
    # @api private
    def initialize(native)
      @native = native
      @size = native.size
      @etag = native.etag
    end

    # @param most [Integer] maximum bytes to return; a call never returns more than 5 MiB
    # @param buffer [String, nil] gets the bytes instead of a new String, and is returned; empty after the last byte
    # @return [String, nil] the next bytes, binary and authenticated; nil after the last. An empty String when `most` is
    #   0, as from IO#read
    # @raise [ArgumentError] when `most` is not an Integer of at least 0
    # @raise [IntegrityError] before the first byte, when the object was changed or is truncated
    # @raise [Error]
    def read(most, buffer = nil)
      bytes = @native.read_up_to(count(most))
      Garbage.made(bytes.bytesize) if bytes
      bytes ||= NOTHING.dup if most.zero?
      return bytes unless buffer

      buffer.replace(bytes || NOTHING)
      bytes && buffer
    end

    # Skips bytes, at most to the end of the object.
    # @param bytes [Integer]
    # @return [void]
    # @raise (see #read)
    def skip(bytes)
      @native.skip(count(bytes))
    end

    # Releases the connection and the memory.
    # @return [void]
    def close
      @native.close
    end

    private

    NOTHING = "".b.freeze
    private_constant :NOTHING

    def count(bytes)
      return [bytes, NativeLoader::LARGEST_NUMBER].min if bytes.is_a?(Integer) && !bytes.negative?

      raise ArgumentError, "A number of bytes must be an Integer of at least 0, not #{bytes.inspect}."
    end
  end
end
