# frozen_string_literal: true

require "rack/utils"

module EncryptedS3Service
  module Serving
    # Which part of a file a request asks for (RFC 9110, section 14).
    class ByteRanges
      # @param header [String, nil] the request's Range
      # @param size [Integer] bytes of the file
      def initialize(header, size)
        @ranges = header && Rack::Utils.get_byte_ranges(header, size)
        @size = size
      end

      # A header that makes no sense is as good as none.
      # @return [Boolean]
      def whole? = @ranges.nil?

      # Several ranges are limited as in Active Storage's proxy (ActiveStorage::Streaming), where they are: many small
      # ones would be a cheap way to make a server work.
      # @return [Boolean] whether there is nothing of what is asked for, or too much is asked for at once
      def refused?
        return false if whole?

        @ranges.empty? || (several? && (@ranges.size > limit(:streaming_max_ranges, 1) || too_many_bytes?))
      end

      # @return [Boolean]
      def several? = @ranges.size > 1

      # @return [Array<Range<Integer>>] first and last byte of each
      def to_a = @ranges || [0..(@size - 1)]

      # @return [Range<Integer>] the only one
      def first = to_a.first

      private

      def too_many_bytes? = @ranges.sum(&:size) > limit(:streaming_chunk_max_size, 100 << 20)

      # Active Storage has these settings since its releases of spring 2026.
      def limit(name, default) = ActiveStorage.respond_to?(name) ? ActiveStorage.public_send(name) : default
    end
  end
end
