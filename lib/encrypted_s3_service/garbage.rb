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

    # Counts a new string that will soon be garbage, and starts a collection after each 10 MiB, unless the application
    # has disabled the collector, for example to run it between requests. The count is inexact if several threads call
    # this at once.
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
