# frozen_string_literal: true

module EncryptedS3Service
  module Serving
    # A file, or a part of it, that Rails' proxy sends, read while it is sent. Rails itself holds a part in memory, and
    # refuses parts of more than 100 MiB. Players request a whole film as one part (`bytes=0-`).
    # @api private
    class ProxiedBlob
      # @param file [ActiveStorage::Blob, ActiveStorage::Attachment, Object] or one of its representations
      # @return [ActiveStorage::Blob, nil] nil for a representation
      def self.of(file)
        case file
        when ActiveStorage::Blob then file
        when ActiveStorage::Attachment, ActiveStorage::Attached::One then file.blob
        end
      end

      # Opens the file and reads the first bytes that will be sent.
      # @param blob [ActiveStorage::Blob] of an encrypted service, or of a mirror whose primary encrypts
      # @param range [String, nil] the request's Range header
      # @raise [ActiveStorage::FileNotFoundError]
      # @raise [StandardError] any other error of opening and reading the file
      def initialize(blob, range)
        file = PrivateProxy.serving(blob.service).reader(blob.key, likely: ByteRanges.likely(range))
        @blob = blob
        @range = range
        @ranges = ByteRanges.new(range, file.size, blob.content_type_for_serving)
        @body = LargeReads.limited(file.size) { Body.new(file, @ranges.pieces) } unless unsatisfiable?
      ensure
        file&.close unless @body
      end

      # @return [Boolean] whether there is something to send
      def readable? = !@body.nil?

      # @return [Integer] 200 or 206; 416 when the header is not valid or selects no part of the file, as in Rails; 503
      #   when too many large files are being opened
      def status
        return 416 if unsatisfiable?

        @body ? @ranges.status : 503
      end

      # @return [Hash{String => String}] headers for this status, including the content type
      def headers
        return @ranges.refusal if status == 416
        return { "Retry-After" => Refusals::RETRY_AFTER.to_s } if status == 503

        { "Accept-Ranges" => "bytes", **@ranges.headers }
      end

      # @param disposition [String, nil] the wish of the request
      # @return [Hash{Symbol => String}] for ActionController::Live#send_stream, as in ActiveStorage::Streaming
      def description(disposition)
        { filename: @blob.filename.sanitized, type: @ranges.headers["Content-Type"],
          disposition: @blob.forced_disposition_for_serving || disposition || "inline" }
      end

      # @param response [ActionController::Live::Response]
      # @return [void]
      # @raise [StandardError] when the rest cannot be read; the response is broken off then
      def write_to(response)
        stream = response.stream.extend(BrokenOff::Stream)
        # The stream's first write would remove the length of a response that is not committed.
        response.commit!
        @body.each { |chunk| stream.write(chunk) }
      rescue StandardError => e
        stream.break_off(e)
        raise
      end

      # Releases the connection to the store.
      # @return [void]
      def close = @body&.close

      private

      # `ByteRanges` has the whole file for a header that is not valid.
      def unsatisfiable? = @ranges.refused? || (@range.present? && @ranges.status == 200)
    end
  end
end
