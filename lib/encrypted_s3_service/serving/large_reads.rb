# frozen_string_literal: true

require "concurrent/atomic/semaphore"

module EncryptedS3Service
  module Serving
    # Limits how many requests of a process wait at once for the first byte of a large file. A file without a segment
    # map is fetched completely first, even for a range of one byte. Without a limit, requests for one link could block
    # all threads of the application.
    module LargeReads
      # Bytes from which a file counts as large.
      LARGE = 16 << 20
      LOCK = Mutex.new
      private_constant :LARGE, :LOCK

      class << self
        # @param size [Integer] bytes of the file
        # @yield opens the file and reads its first byte
        # @return [Object, nil] the block's result; nil, without calling the block, when too many requests are waiting
        def limited(size)
          return yield if size < LARGE
          return unless (place = semaphore).try_acquire

          begin
            yield
          ensure
            place.release
          end
        end

        private

        # Replaced when the limit changes, which happens only at boot.
        def semaphore
          limit = EncryptedS3Service.settings.large_reads_limit
          LOCK.synchronize do
            @semaphore = Concurrent::Semaphore.new(limit) unless @limit == limit
            @limit = limit
            @semaphore
          end
        end
      end
    end
  end
end
