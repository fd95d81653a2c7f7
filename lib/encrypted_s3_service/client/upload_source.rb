# frozen_string_literal: true

require "tempfile"
require_relative "../errors"

module EncryptedS3Service
  # Moves what an IO has from its position to its end into an upload: file by file in Rust where the IO is a plain file,
  # else buffer by buffer.
  # @api private
  class UploadSource
    # Bytes asked of an IO at once.
    READ_SIZE = 1 << 20

    # @param io [#read]
    # @param digest [OpenSSL::Digest, nil] is fed with all that is read, and has it read by Ruby
    # @raise [ArgumentError]
    def initialize(io, digest: nil)
      raise ArgumentError, "an io must respond to read, a #{io.class} does not" unless io.respond_to?(:read)

      @io = io
      @digest = digest
    end

    # @return [Integer, nil] bytes to come, as far as the IO knows
    def remaining
      return unless @io.respond_to?(:size) && @io.respond_to?(:pos)

      size = @io.size
      position = @io.pos
      # Not everything that imitates an IO has numbers for them.
      [size - position, 0].max if size.is_a?(Integer) && position.is_a?(Integer)
    rescue SystemCallError, IOError
      nil
    end

    # @param upload [Native::Upload]
    # @param step [Integer] bytes that are read of a file at once
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
        # IO itself has nil for this, but not everything that imitates it.
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

    # The File itself, if reading its descriptor gives exactly what its `read` would give.
    def plain_file
      file = @io.instance_of?(Tempfile) ? @io.__getobj__ : @io
      return unless file.instance_of?(File) && untouched?(@io) && untouched?(file)

      # Raises what `read` would raise of a file that is closed or not open for reading; writes out what is buffered.
      file.read(0)
      file if file.internal_encoding.nil? && file.stat.file?
    end

    # A method defined on the object itself (`read`, say, for a progress bar) has to be called.
    def untouched?(object) = object.singleton_methods(false).empty?
  end
end
