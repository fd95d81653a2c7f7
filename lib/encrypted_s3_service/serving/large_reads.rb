# frozen_string_literal: true

require "concurrent/atomic/semaphore"

module EncryptedS3Service
  module Serving
    # How many requests of a process wait at once for the first byte of a large file. A file that has no segment map yet
    # is fetched whole before that, even if one byte of it is asked for; without a limit somebody with one link could
    # have all threads of the application wait.
    module LargeReads
      # Bytes from which on a file is large.
      LARGE = 16 << 20
      LOCK = Mutex.new
      private_constant :LARGE, :LOCK

      class << self
        # @param size [Integer] bytes of the file
        # @yield what waits for its first byte
        # @return [Object, nil] what the block returns; nil, without calling it, when too many are waiting
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

        # Made anew for another limit, which only happens at boot.
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
