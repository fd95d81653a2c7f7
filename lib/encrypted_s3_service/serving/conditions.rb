# frozen_string_literal: true

module EncryptedS3Service
  module Serving
    # The conditional headers of a request: which versions of the file the client has (RFC 9110, section 13).
    class Conditions
      # @param request [ActionDispatch::Request]
      def initialize(request)
        @known = request.if_none_match.to_s.split(",").map { |tag| tag.strip.delete_prefix("W/") }
        @range = request.get_header("HTTP_RANGE")
        @if_range = request.get_header("HTTP_IF_RANGE")
      end

      # @return [Boolean] whether the client has any version
      def any? = @known.any?

      # @param etag [String]
      # @return [Boolean] whether the client has this version
      def known?(etag) = @known.intersect?(["*", etag])

      # @param etag [String]
      # @return [String, nil] the Range header; nil when `If-Range` names another version, so that the whole file is
      #   sent
      def range(etag) = (@range if @if_range.nil? || @if_range.strip == etag)
    end
  end
end
