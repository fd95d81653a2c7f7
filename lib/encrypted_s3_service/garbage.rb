# frozen_string_literal: true

module EncryptedS3Service
  # Makes Ruby collect the chunks of downloads that their callers no longer use. Ruby itself starts after 16 to 32 MiB
  # of them, and frees them while as many are allocated again: a download would grow the process by 60 MiB of unused
  # chunks. A collection of young objects in short steps costs less than the full collections that Ruby would otherwise
  # start because of the chunks.
  # @api private
  module Garbage
    # Bytes between two collections: two chunks.
    LIMIT = 10 << 20
    private_constant :LIMIT

    @bytes = 0

    # Notes a new string that will soon be garbage, and starts a collection when there is enough. An application that
    # has switched the collector off, to run it between requests, does without. If several threads call it at once,
    # there may be a collection more or less.
    # @param bytes [Integer] of the string
    # @return [void]
    def self.made(bytes)
      @bytes += bytes
      return if @bytes < LIMIT

      @bytes = 0
      GC.start(full_mark: false, immediate_mark: false, immediate_sweep: false) unless Native.gc_disabled?
    end
  end
end
