# frozen_string_literal: true

module EncryptedS3Service
  module Serving
    # A Rack body that reads an object while it is sent and holds one chunk in memory. ActionController::Live would need
    # a second thread for every response and would queue ten chunks for a slow client.
    class Body
      # Bytes of a chunk.
      CHUNK = 1 << 20

      # Reads the first bytes of the object, so that an unreadable object is detected before the response has begun.
      # @param reader [Reader] owned and closed by the body
      # @param pieces [Array<Range<Integer>, String>] the content, in order: inclusive byte ranges of the object,
      #   ascending and without overlap, and literal text between them
      # @raise [StandardError] any error of the reader
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
      # @raise [EOFError] when the rest cannot be read
      def each
        # Some versions of Rails call this without a block (ActionDispatch::Response::Buffer#to_ary).
        return enum_for(:each) unless block_given?

        begin
          while (chunk = @ahead.shift || take_or_break_off)
            yield chunk
          end
        ensure
          close
        end
      end

      # Releases the connection to the store. Can be called more than once.
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

      def take_or_break_off
        take
      rescue StandardError => e
        raise BrokenOff.error(e)
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
