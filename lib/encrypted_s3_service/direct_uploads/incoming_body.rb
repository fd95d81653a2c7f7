# frozen_string_literal: true

require "stringio"
require "tempfile"
require_relative "../errors"

module EncryptedS3Service
  module DirectUploads
    # The body of a request with a file. It keeps the first bytes, which identify the content type, and raises when the
    # body is longer than announced.
    # @api private
    class IncomingBody
      # Bytes by which Active Storage identifies a content type (ActiveStorage::Blob::Identifiable).
      BEGINNING = 4096
      # Inputs that can be rewound and have a size. Rack guarantees only `read` for others.
      REREADABLE = [Tempfile, File, StringIO].freeze
      private_constant :BEGINNING, :REREADABLE

      # @return [String] the first bytes, binary
      attr_reader :beginning
      # @return [#read] the whole body from its beginning; a plain file is returned unchanged, so that Rust can read it
      attr_reader :io

      # @param io [#read, nil] Rack's input; nil means an empty body (Rack 3.1)
      # @param length [Integer] announced length in bytes
      # @raise [ActiveStorage::IntegrityError] when the input has a size and it differs from `length`
      def initialize(io, length)
        io ||= StringIO.new
        @beginning = nil
        @io = REREADABLE.include?(io.class) ? whole(io, length) : streamed(io, length)
      end

      private

      def whole(io, length)
        start = io.pos
        raise ActiveStorage::IntegrityError, "The file is not as long as announced." unless io.size - start == length

        @beginning = io.read(BEGINNING).to_s.b
        io.seek(start)
        io
      end

      def streamed(io, length)
        @beginning = io.read([BEGINNING, length].min).to_s.b
        Counted.new(io, @beginning.dup, length)
      end

      # Returns the bytes that were read already, then the rest of the input.
      class Counted
        # @return [Integer] announced length in bytes
        attr_reader :size
        # @return [Integer] bytes read so far
        attr_reader :pos

        # @param io [#read]
        # @param ahead [String] the bytes already read from `io`
        # @param size [Integer] announced length in bytes
        def initialize(io, ahead, size)
          @io = io
          @ahead = ahead
          @size = size
          @pos = 0
        end

        # @param length [Integer] maximum bytes to read
        # @param buffer [String, nil] receives the bytes
        # @return [String, nil] at most `length` bytes; nil at the end
        # @raise [ChecksumError] when there are more bytes than announced
        def read(length, buffer = nil)
          data = @ahead.empty? ? @io.read(length) : @ahead.slice!(0, length)
          return buffer&.clear && nil if data.nil? || data.empty?

          @pos += data.bytesize
          raise ChecksumError, "The file is longer than announced." if @pos > @size

          buffer ? buffer.replace(data) : data
        end
      end
      private_constant :Counted
    end
  end
end
