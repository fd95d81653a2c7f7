# frozen_string_literal: true

require "rack/utils"
require "securerandom"

module EncryptedS3Service
  module Serving
    # The parts of a file that a request selects, and the headers and body with them (RFC 9110, section 14).
    class ByteRanges
      # Defaults of Active Storage's settings, which its releases before spring 2026 do not have.
      LIMITS = { streaming_max_ranges: 1, streaming_chunk_max_size: 100 << 20 }.freeze
      # A range set of RFC 9110, 14.1.1. Rack reads other texts as numbers: `bytes=a-b` as the first byte.
      RANGE_SET = /\Abytes=[ \t]*(?:\d+-\d*|-\d+)(?:[ \t]*,[ \t]*(?:\d+-\d*|-\d+))*[ \t]*\z/i
      private_constant :LIMITS, :RANGE_SET

      # @param name [Symbol] `:streaming_max_ranges` (a number) or `:streaming_chunk_max_size` (bytes)
      # @return [Integer] the limit of the application, or Active Storage's default
      def self.limit(name)
        ActiveStorage.respond_to?(name) ? ActiveStorage.public_send(name) : LIMITS.fetch(name)
      end

      # @param header [String, nil] the request's Range header
      # @return [Range<Integer>, nil] the bytes that will probably be sent, guessed while the size of the file is not
      #   known yet; nil when all of them may be needed
      def self.likely(header)
        first, last = header&.b&.match(/\Abytes=(\d{1,15})-(\d{0,15})\z/i)&.captures
        return unless first

        last = last.empty? ? nil : last.to_i
        first.to_i..last if last.nil? || last >= first.to_i
      end

      # @param header [String, nil] the request's Range header
      # @param size [Integer] size of the file in bytes
      # @param content_type [String] content type of the file
      def initialize(header, size, content_type)
        @size = size
        @content_type = content_type
        # Compared as bytes, because a server passes a header in invalid UTF-8 as text.
        @wanted = Rack::Utils.get_byte_ranges(header.downcase, size) if header&.b&.match?(RANGE_SET)
        @ranges = in_order(@wanted || whole_file)
      end

      # Multiple ranges have the limits of Active Storage's proxy (ActiveStorage::Streaming), because many small ranges
      # are a cheap way to keep a server busy.
      # @return [Boolean] whether no requested range is in the file, or there are too many ranges or bytes
      def refused?
        return false if whole?
        return true if @wanted.empty?

        @wanted.size > 1 && (@wanted.size > ByteRanges.limit(:streaming_max_ranges) || too_many_bytes?)
      end

      # @return [Integer] status of the response
      def status = whole? ? 200 : 206

      # @return [Hash{String => String}] headers that describe the part
      def headers
        headers = { "Content-Type" => type, "Content-Length" => length.to_s }
        headers["Content-Range"] = content_range(@ranges.first) unless whole? || several?
        headers
      end

      # @return [Hash{String => String}] headers of a 416 response
      def refusal = { "Content-Range" => "bytes */#{@size}" }

      # @return [Array<Range<Integer>, String>] the content, for {Body}
      def pieces
        @pieces ||= several? ? [*@ranges.flat_map { |range| [part_head(range), range] }, last_line] : @ranges
      end

      private

      # A header that is not valid is ignored.
      def whole? = @wanted.nil?

      def several? = @ranges.size > 1

      def whole_file = @size.zero? ? [] : [0..(@size - 1)]

      # The file is read once, from beginning to end. Clients must accept parts in any order, and adjacent parts merged
      # (RFC 9110, sections 14.2 and 15.3.7.2).
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

      def too_many_bytes? = @wanted.sum(&:size) > ByteRanges.limit(:streaming_chunk_max_size)

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
