# frozen_string_literal: true

require "tempfile"
require_relative "../errors"

module EncryptedS3Service
  # Feeds an upload from an IO, from its position to its end. The extension reads a plain file, Ruby any other IO.
  # @api private
  class UploadSource
    # Bytes to read from an IO at once.
    READ_SIZE = 1 << 20

    # @param io [#read]
    # @param digest [OpenSSL::Digest, nil] gets all bytes that are read; then Ruby reads, and not the extension
    # @raise [ArgumentError]
    def initialize(io, digest: nil)
      raise ArgumentError, "An IO must respond to read; #{io.class} does not" unless io.respond_to?(:read)

      @io = io
      @digest = digest
    end

    # @return [Integer, nil] bytes to the end, nil when the IO does not know
    def remaining
      return unless @io.respond_to?(:size) && @io.respond_to?(:pos)

      size = @io.size
      position = @io.pos
      # An object that imitates an IO may return something else than numbers.
      [size - position, 0].max if size.is_a?(Integer) && position.is_a?(Integer)
    rescue SystemCallError, IOError
      nil
    end

    # @param upload [Native::Upload]
    # @param step [Integer] bytes to read from a file at once
    # @yield after each step
    # @return [void]
    def transfer(upload, step, &)
      file = plain_file unless @digest
      file ? transfer_file(upload, file, step, &) : transfer_reads(upload, &)
    end

    private

    def transfer_reads(upload)
      buffer = String.new(capacity: READ_SIZE, encoding: Encoding::BINARY)
      while (data = @io.read(READ_SIZE, buffer))
        # An IO returns nil at its end; an object that imitates one may return an empty String.
        break if data.empty?

        @digest&.update(data)
        upload.write(data)
        yield
      end
    end

    def transfer_file(upload, file, step)
      position = file.pos
      while (taken = upload.write_file(file.fileno, position, step)).positive?
        position += taken
        yield
      end
      file.seek(position)
    end

    # The File, if its descriptor gives the same bytes as its `read`.
    def plain_file
      file = @io.instance_of?(Tempfile) ? @io.__getobj__ : @io
      return unless file.instance_of?(File) && untouched?(@io) && untouched?(file)

      # Raises as `read` does for a file that is closed or not open for reading, and flushes its write buffer.
      file.read(0)
      file if file.internal_encoding.nil? && file.stat.file?
    end

    # A method that is defined on the object itself (`read` with a progress bar, for example) must be called.
    def untouched?(object) = object.singleton_methods(false).empty?
  end
end
