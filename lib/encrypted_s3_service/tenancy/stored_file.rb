# frozen_string_literal: true

module EncryptedS3Service
  # A blob's content as an IO for uploads. It is downloaded while it is read, in chunks of 5 MiB and without a temporary
  # file.
  # @api private
  class StoredFile
    # @return [Integer] bytes read so far
    attr_reader :position

    # @return [Integer] size in bytes from the blob's row
    attr_reader :size

    # @param blob [ActiveStorage::Blob]
    def initialize(blob)
      @size = blob.byte_size
      @key = blob.key
      # Looked up here, because a query in the Enumerator's fiber could use another database connection.
      @service = blob.service
      rewind
    end

    # @param length [Integer, nil] maximum bytes; nil reads to the end
    # @param buffer [String, nil] receives the bytes
    # @return [String, nil] binary; nil at the end
    def read(length = nil, buffer = nil)
      fill(length)
      taken = length ? @held.slice!(0, length) : @held.slice!(0..)
      @position += taken.bytesize
      return buffer&.clear && nil if taken.empty? && length&.positive?

      buffer ? buffer.replace(taken) : taken
    end

    # Starts again from the beginning.
    # @return [Integer] 0
    def rewind
      @chunks = Enumerator.new { |chunks| @service.download(@key) { |chunk| chunks << chunk } }
      @held = "".b
      @position = 0
    end

    private

    def fill(length)
      @held << @chunks.next until length && @held.bytesize >= length
    rescue StopIteration
      nil
    end
  end
end
