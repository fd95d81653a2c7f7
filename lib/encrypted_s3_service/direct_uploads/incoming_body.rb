# frozen_string_literal: true

require "stringio"
require "tempfile"
require_relative "../errors"

module EncryptedS3Service
  module DirectUploads
    # The body of a request with a file. It keeps its beginning for whoever wants to know what kind of file it is, and
    # ends with an error when there is more than was announced.
    # @api private
    class IncomingBody
      # Bytes by which Active Storage tells what a file is (ActiveStorage::Blob::Identifiable).
      BEGINNING = 4096
      # What can be read twice, and knows how much it has. Others are only known to have `read`, as Rack asks for.
      REREADABLE = [Tempfile, File, StringIO].freeze
      private_constant :BEGINNING, :REREADABLE

      # @return [String] the first bytes, binary
      attr_reader :beginning
      # @return [#read] all of it from its beginning; a plain file is given as it is and read without Ruby
      attr_reader :io

      # @param io [#read, nil] Rack's input; nil is an empty one (Rack 3.1)
      # @param length [Integer] bytes that were announced
      # @raise [ActiveStorage::IntegrityError] when it is known to have another length
      def initialize(io, length)
        io ||= StringIO.new
        @beginning = nil
        @io = REREADABLE.include?(io.class) ? whole(io, length) : streamed(io, length)
      end

      private

      def whole(io, length)
        start = io.pos
        raise ActiveStorage::IntegrityError, "the length is not the announced one" unless io.size - start == length

        @beginning = io.read(BEGINNING).to_s.b
        io.seek(start)
        io
      end

      def streamed(io, length)
        @beginning = io.read([BEGINNING, length].min).to_s.b
        Counted.new(io, @beginning.dup, length)
      end

      # Reads what was read already, then the rest.
      class Counted
        # @return [Integer] bytes that were announced
        attr_reader :size
        # @return [Integer] bytes that were read
        attr_reader :pos

        # @param io [#read]
        # @param ahead [String] its first bytes
        # @param size [Integer]
        def initialize(io, ahead, size)
          @io = io
          @ahead = ahead
          @size = size
          @pos = 0
        end

        # @param length [Integer] bytes
        # @param buffer [String, nil] is filled with them
        # @return [String, nil] at most as many bytes; nil at the end
        # @raise [ChecksumError] when there are more than were announced
        def read(length, buffer = nil)
          data = @ahead.empty? ? @io.read(length) : @ahead.slice!(0, length)
          return buffer&.clear && nil if data.nil? || data.empty?

          @pos += data.bytesize
          raise ChecksumError, "there are more bytes than were announced" if @pos > @size

          buffer ? buffer.replace(data) : data
        end
      end
      private_constant :Counted
    end
  end
end
