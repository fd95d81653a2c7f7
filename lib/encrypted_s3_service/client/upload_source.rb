# frozen_string_literal: true

require "tempfile"
require_relative "../errors"

module EncryptedS3Service
  # Feeds an upload from an IO's current position to its end. Rust reads plain files itself; other IOs are read in
  # buffers.
  # @api private
  class UploadSource
    # Bytes per call of `read`.
    READ_SIZE = 1 << 20

    # @param io [#read]
    # @raise [ArgumentError] when the object does not respond to `read`
    def initialize(io)
      raise ArgumentError, "An io must respond to `read`, but a #{io.class} does not." unless io.respond_to?(:read)

      @io = io
    end

    # @return [Integer, nil] remaining bytes; nil when the IO does not know
    def remaining
      return unless @io.respond_to?(:size) && @io.respond_to?(:pos)

      size = @io.size
      position = @io.pos
      # Objects that imitate an IO may return something else.
      [size - position, 0].max if size.is_a?(Integer) && position.is_a?(Integer)
    rescue SystemCallError, IOError
      nil
    end

    # @param upload [Native::Upload]
    # @param step [Integer] bytes per read of a plain file
    # @yield after each step
    # @return [void]
    def transfer(upload, step, &)
      file = plain_file
      file ? transfer_file(upload, file, step, &) : transfer_reads(upload, &)
    end

    private

    def transfer_reads(upload)
      buffer = String.new(capacity: READ_SIZE, encoding: Encoding::BINARY)
      while (data = @io.read(READ_SIZE, buffer))
        # An IO returns nil at its end, but objects that imitate one may return an empty String.
        break if data.empty?

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

    # Returns the File if its descriptor returns the same bytes as its `read`, otherwise nil.
    def plain_file
      file = @io.instance_of?(Tempfile) ? @io.__getobj__ : @io
      return unless file.instance_of?(File) && untouched?(@io) && untouched?(file)

      # Raises for a file that is closed or not open for reading, and flushes the write buffer.
      file.read(0)
      file if file.internal_encoding.nil? && file.stat.file?
    end

    # A singleton method, for example a `read` that counts for a progress bar, must be called.
    def untouched?(object) = object.singleton_methods(false).empty?
  end
end
