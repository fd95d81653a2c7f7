# frozen_string_literal: true

module EncryptedS3Service
  module Serving
    # The part of a file that Rails' proxy sends for a Range header, read while it is sent. Rails itself holds the whole
    # part in memory, and refuses parts of more than 100 MiB. Players request a whole film as one part (`bytes=0-`).
    # @api private
    class ProxiedRange
      # Opens the file and reads the first bytes of the part.
      # @param blob [ActiveStorage::Blob] of an encrypted service, or of a mirror whose primary encrypts
      # @param header [String] the request's Range header
      # @raise [ActiveStorage::FileNotFoundError]
      # @raise [StandardError] any other error of opening and reading the file
      def initialize(blob, header)
        service = blob.service
        service = service.primary while service.respond_to?(:primary)
        file = service.reader(blob.key, likely: ByteRanges.likely(header))
        @ranges = ByteRanges.new(header, file.size, blob.content_type_for_serving)
        @body = LargeReads.limited(file.size) { Body.new(file, @ranges.pieces) } unless unsatisfiable?
      ensure
        file&.close unless @body
      end

      # @return [Integer] 206; 416 when the header is not valid or selects no part of the file, as in Rails; 503 when
      #   too many large files are being opened
      def status
        return 416 if unsatisfiable?

        @body ? 206 : 503
      end

      # @return [Hash{String => String}] headers for this status, including the content type of a part
      def headers
        case status
        when 206 then { "Accept-Ranges" => "bytes", **@ranges.headers }
        when 416 then @ranges.refusal
        else { "Retry-After" => Refusals::RETRY_AFTER.to_s }
        end
      end

      # @param response [ActionController::Live::Response]
      # @return [void]
      # @raise [StandardError] when the rest cannot be read; the response is broken off then
      def write_to(response)
        stream = response.stream.extend(BrokenOff::Stream)
        # The stream's first write would remove the length of a response that is not committed.
        response.commit!
        @body.each { |chunk| stream.write(chunk) }
      rescue StandardError
        stream.break_off
        raise
      end

      # Releases the connection to the store.
      # @return [void]
      def close = @body&.close

      private

      # `ByteRanges` has the whole file for a header that is not valid.
      def unsatisfiable? = @ranges.refused? || @ranges.status == 200
    end
  end
end
