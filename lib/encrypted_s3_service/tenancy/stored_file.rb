# frozen_string_literal: true

module EncryptedS3Service
  # A blob's content as an IO that services can upload: it is fetched while it is read, in chunks of 5 MiB, and lies in
  # no temporary file.
  # @api private
  class StoredFile
    # @return [Integer] bytes that were read
    attr_reader :position

    # @return [Integer] bytes, as the row says
    attr_reader :size

    # @param blob [ActiveStorage::Blob]
    def initialize(blob)
      @size = blob.byte_size
      @key = blob.key
      # Found here, because what is found by a query may be another connection in the fiber of an Enumerator.
      @service = blob.service
      rewind
    end

    # @param length [Integer, nil] bytes; nil for all that is left
    # @param buffer [String, nil] takes what was read
    # @return [String, nil] binary; nil at the end
    def read(length = nil, buffer = nil)
      fill(length)
      taken = length ? @held.slice!(0, length) : @held.slice!(0..)
      @position += taken.bytesize
      return buffer&.clear && nil if taken.empty? && length&.positive?

      buffer ? buffer.replace(taken) : taken
    end

    # Begins anew.
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
