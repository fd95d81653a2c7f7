# frozen_string_literal: true

require "rack/utils"
require "securerandom"

module EncryptedS3Service
  module Serving
    # Which part of a file a request asks for, and how it is sent (RFC 9110, section 14).
    class ByteRanges
      # @param header [String, nil] the request's Range
      # @param size [Integer] bytes of the file
      # @param content_type [String] of the file
      def initialize(header, size, content_type)
        @size = size
        @content_type = content_type
        @wanted = header && Rack::Utils.get_byte_ranges(header, size)
        @ranges = in_order(@wanted || whole_file)
      end

      # Several ranges are limited as in Active Storage's proxy (ActiveStorage::Streaming), where they are: many small
      # ones would be a cheap way to make a server work.
      # @return [Boolean] whether there is nothing of what is asked for, or too much is asked for at once
      def refused?
        return false if whole?
        return true if @wanted.empty?

        @wanted.size > 1 && (@wanted.size > limit(:streaming_max_ranges, 1) || too_many_bytes?)
      end

      # @return [Integer] of the answer
      def status = whole? ? 200 : 206

      # @return [Hash{String => String}] what the answer says of the part
      def headers
        headers = { "Content-Type" => type, "Content-Length" => length.to_s }
        headers["Content-Range"] = content_range(@ranges.first) unless whole? || several?
        headers
      end

      # @return [Hash{String => String}] what an answer says that refuses it
      def refusal = { "Content-Range" => "bytes */#{@size}" }

      # @return [Array<Range<Integer>, String>] what is sent, as {Body} takes it
      def pieces
        @pieces ||= several? ? [*@ranges.flat_map { |range| [part_head(range), range] }, last_line] : @ranges
      end

      private

      # A header that makes no sense is as good as none.
      def whole? = @wanted.nil?

      def several? = @ranges.size > 1

      def whole_file = @size.zero? ? [] : [0..(@size - 1)]

      # One version of the file is read once, from its beginning to its end. A client has to take parts in any order,
      # and those that touch as one (RFC 9110, section 14.2 and 15.3.7.2).
      def in_order(ranges)
        ranges.sort_by(&:begin).each_with_object([]) do |range, all|
          before = all.last
          if before && range.begin <= before.end + 1
            all[-1] = before.begin..[before.end, range.end].max
          else
            all << range
          end
        end
      end

      def too_many_bytes? = @wanted.sum(&:size) > limit(:streaming_chunk_max_size, 100 << 20)

      # Active Storage has these settings since its releases of spring 2026.
      def limit(name, default) = ActiveStorage.respond_to?(name) ? ActiveStorage.public_send(name) : default

      def length = pieces.sum { |piece| piece.is_a?(String) ? piece.bytesize : piece.size }

      def type = several? ? "multipart/byteranges; boundary=#{boundary}" : @content_type

      def boundary = @boundary ||= SecureRandom.hex

      def part_head(range)
        "\r\n--#{boundary}\r\nContent-Type: #{@content_type}\r\nContent-Range: #{content_range(range)}\r\n\r\n".b
      end

      def last_line = "\r\n--#{boundary}--\r\n"

      def content_range(range) = "bytes #{range.begin}-#{range.end}/#{@size}"
    end
  end
end
