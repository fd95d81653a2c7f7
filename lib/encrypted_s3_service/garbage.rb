# frozen_string_literal: true

module EncryptedS3Service
  # Has Ruby collect the chunks of downloads that their callers have done with. Ruby itself begins after 16 to 32 MiB of
  # them, and frees them while as many are allocated again: a download would grow the process by 60 MiB of chunks that
  # nobody uses. A collection of young objects in short steps costs less than the collections of all objects that
  # Ruby would have begun because of the chunks.
  # @api private
  module Garbage
    # Bytes between two collections: two chunks.
    LIMIT = 10 << 20
    private_constant :LIMIT

    @bytes = 0

    # Notes that a string was made that will soon be garbage, and collects when there is enough. Threads that come at
    # once may cause a collection more or less.
    # @param bytes [Integer] of the string
    # @return [void]
    def self.made(bytes)
      @bytes += bytes
      return if @bytes < LIMIT

      @bytes = 0
      GC.start(full_mark: false, immediate_mark: false, immediate_sweep: false)
    end
  end
end
