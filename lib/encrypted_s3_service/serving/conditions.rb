# frozen_string_literal: true

module EncryptedS3Service
  module Serving
    # What a client has of a file already, as its request says (RFC 9110, section 13).
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
      # @return [String, nil] the part that is asked for; a client that has a part of another version gets the whole
      def range(etag) = (@range if @if_range.nil? || @if_range.strip == etag)
    end
  end
end
