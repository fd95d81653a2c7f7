# frozen_string_literal: true

module EncryptedS3Service
  module Serving
    # A Rack body that reads an object while it is being sent and holds one chunk of it. Not ActionController::Live,
    # which needs a second thread for every answer and queues ten chunks for a client that does not take them.
    class Body
      # Bytes of a chunk.
      CHUNK = 1 << 20

      # Reads up to the first bytes of the object, so that what cannot be read is known before an answer has begun.
      # @param reader [Reader] belongs to the body from now on
      # @param pieces [Array<Range<Integer>, String>] what is sent, in this order: bytes of the object (first and last,
      #   each range behind the one before) and what stands between them
      # @raise [StandardError] what the reader raises
      def initialize(reader, pieces)
        @reader = reader
        @pieces = pieces.dup
        @position = 0
        @ahead = []
        look_ahead
      rescue StandardError
        close
        raise
      end

      # @yieldparam chunk [String] binary
      # @return [void]
      def each
        # Some versions of Rails ask for this (ActionDispatch::Response::Buffer#to_ary).
        return enum_for(:each) unless block_given?

        begin
          while (chunk = @ahead.shift || take)
            yield chunk
          end
        ensure
          close
        end
      end

      # Frees the connection to the store; may be called again.
      # @return [void]
      def close
        @ahead = []
        @pieces = []
        @reader.close
      end

      private

      def look_ahead
        while (chunk = take)
          @ahead << chunk
          break if @position.positive?
        end
      end

      def take
        piece = @pieces.first
        return if piece.nil?
        return @pieces.shift if piece.is_a?(String)

        return take if piece.end < @position && @pieces.shift

        read(piece)
      end

      def read(range)
        skip_to(range.begin)
        chunk = @reader.read([range.end - @position + 1, CHUNK].min)
        @position += chunk.bytesize if chunk
        chunk
      end

      def skip_to(position)
        return unless position > @position

        @reader.skip(position - @position)
        @position = position
      end
    end
  end
end
