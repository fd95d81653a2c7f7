# frozen_string_literal: true

module EncryptedS3Service
  module Serving
    # The conditional headers of a request: which versions of the file the client has or requires (RFC 9110, section
    # 13).
    class Conditions
      # @param request [ActionDispatch::Request]
      def initialize(request)
        @known = tags(request.if_none_match).map { |tag| tag.delete_prefix("W/") }
        @required = tags(request.get_header("HTTP_IF_MATCH"))
        @range = request.get_header("HTTP_RANGE")
        @if_range = request.get_header("HTTP_IF_RANGE")
      end

      # @return [Boolean] whether the client has any version
      def any? = @known.any?

      # @param etag [String]
      # @return [Boolean] whether the client has this version
      def known?(etag) = @known.intersect?(["*", etag])

      # A download that is resumed with `If-Match`, as by Android, must not continue with another version.
      # @param etag [String]
      # @return [Boolean] whether the client requires another version; a weak tag matches none
      def refuse?(etag) = @required.any? && !@required.intersect?(["*", etag])

      # @param etag [String]
      # @return [String, nil] the Range header; nil when `If-Range` names another version, so that the whole file is
      #   sent
      def range(etag) = (@range if @if_range.nil? || @if_range.strip == etag)

      private

      def tags(header) = header.to_s.split(",").map(&:strip)
    end
  end
end
