# frozen_string_literal: true

require "marcel"
require_relative "../client/checksum"
require_relative "incoming_body"

module EncryptedS3Service
  module DirectUploads
    # The file of a direct upload as it arrives: compares it with the announced one, stores it and identifies its type.
    # @api private
    class Arrival
      # Puma's count of the milliseconds that it waited for the body. Only the server sets it. A header that clients can
      # send must not decide when a request began.
      WAITED = "puma.request_body_wait"
      # Bytes per read of a file that is only compared.
      STEP = 1 << 20
      private_constant :WAITED, :STEP

      # @param request [ActionDispatch::Request]
      # @return [Time] when the request began; the current time when the server does not report it
      def self.began_at(request)
        waited = request.get_header(WAITED)
        Time.now - (waited.is_a?(Numeric) ? [waited, 0].max / 1000.0 : 0)
      end

      # @param request [ActionDispatch::Request]
      # @param token [Hash{Symbol => Object}] the payload of the URL's token, see {Serving::Urls#direct_upload}
      def initialize(request, token)
        @request = request
        @token = token
      end

      # Checks the request's headers without reading the body.
      # @return [Integer, nil] status of the refusal; nil when the request is accepted
      def refusal
        length = content_length
        # Rails' `request.content_length` would read a chunked body into memory to count it.
        return 411 if length.nil? || @request.get_header("HTTP_TRANSFER_ENCODING")
        return 413 if too_large?(length)

        422 unless length == @token[:content_length] && announced?
      end

      # Encrypts and stores the file. An existing file is not replaced: a URL is valid for one file, and two different
      # files can have the same MD5.
      # @param service [ActiveStorage::Service::EncryptedS3Service]
      # @return [void]
      # @raise [ActiveStorage::IntegrityError] when the file differs from the announced one
      # @raise [UnsupportedOperationError] when the digest of the announced checksum is not supported
      def store(service)
        checksum = Checksum.parse(@token[:checksum])
        body = IncomingBody.new(@request.body, @token[:content_length])
        return compare(body, checksum) if service.exist?(@token[:key])

        service.upload(@token[:key], body.io, checksum: @token[:checksum])
        identify(body.beginning)
      end

      private

      # Reads at most 30 digits, more than any size has, because parsing a very long number takes long.
      def content_length = @request.get_header("CONTENT_LENGTH").to_s[/\A\d+\z/]&.slice(0, 30)&.to_i

      def too_large?(length)
        limit = EncryptedS3Service.settings.direct_upload_limit
        length > Client::MAXIMUM_SIZE || (limit && length > limit)
      end

      # Without a checksum, other content or a truncated file would go unnoticed.
      def announced?
        @token[:checksum].present? &&
          Serving::ContentType.same?(@token[:content_type], @request.get_header("CONTENT_TYPE"))
      end

      def compare(body, checksum)
        digest = OpenSSL::Digest.new(checksum.algorithm)
        while (data = body.io.read(STEP)) && !data.empty?
          digest << data
        end
        checksum.check(digest.base64digest)
      rescue IntegrityError => e
        raise ActiveStorage::IntegrityError, e.message
      end

      # Identifies the content type. Otherwise Active Storage does it when the file is attached
      # (ActiveStorage::Blob::Identifiable) and downloads the file again while the user waits for the form.
      def identify(beginning)
        blob = ActiveStorage::Blob.find_by(key: @token[:key])
        return if blob.nil? || blob.identified?

        type = Marcel::MimeType.for(beginning, name: blob.filename.to_s.delete("\0"), declared_type: blob.content_type)
        blob.update!(content_type: type, identified: true)
      rescue ActiveRecord::ActiveRecordError => e
        # The file is stored, and Active Storage identifies it when it is attached.
        Rails.logger&.warn("Could not save the content type of the direct upload #{@token[:key]}: #{e.class}")
      end
    end
  end
end
