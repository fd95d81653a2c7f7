# frozen_string_literal: true

module EncryptedS3Service
  module Serving
    # A Rack body that reads an object while it is being sent and holds one chunk of it. Not ActionController::Live,
    # which needs a second thread for every answer and queues ten chunks for a client that does not take them.
    class Body
      # Bytes of a chunk.
      CHUNK = 1 << 20

      # Reads the first chunk, so that what cannot be read is known before an answer has begun.
      # @param reader [Reader] belongs to the body from now on
      # @param range [Range<Integer>] first and last byte
      # @raise [Error]
      def initialize(reader, range)
        @reader = reader
        @left = range.size
        reader.skip(range.begin)
        @chunk = take
      rescue StandardError
        reader.close
        raise
      end

      # @yieldparam chunk [String] binary
      # @return [void]
      def each
        while (chunk = @chunk)
          @chunk = nil
          yield chunk
          @chunk = take
        end
      ensure
        close
      end

      # Called by the server, however the answer ended.
      # @return [void]
      def close
        @chunk = nil
        @reader.close
      end

      private

      def take
        return if @left.zero?

        chunk = @reader.read([@left, CHUNK].min)
        @left -= chunk.bytesize if chunk
        chunk
      end
    end
  end
end
