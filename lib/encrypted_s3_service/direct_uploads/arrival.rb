# frozen_string_literal: true

require "marcel"
require_relative "../client/checksum"
require_relative "incoming_body"

module EncryptedS3Service
  module DirectUploads
    # The file of a direct upload on its way in: compared with what was announced, stored, and identified.
    # @api private
    class Arrival
      # Puma counts the milliseconds that it has waited for a body. It is set by the server alone: a header that a
      # client can send does not say when a request began.
      WAITED = "puma.request_body_wait"
      # Bytes read at once of what is only compared.
      STEP = 1 << 20
      private_constant :WAITED, :STEP

      # @param request [ActionDispatch::Request]
      # @return [Time] when it began, as far as the server tells
      def self.began_at(request)
        waited = request.get_header(WAITED)
        Time.now - (waited.is_a?(Numeric) ? [waited, 0].max / 1000.0 : 0)
      end

      # @param request [ActionDispatch::Request]
      # @param token [Hash{Symbol => Object}] what the address carries, see {Serving::Urls#direct_upload}
      def initialize(request, token)
        @request = request
        @token = token
      end

      # Asked before anything is read.
      # @return [Integer, nil] the status with which the request is refused
      def refusal
        length = content_length
        # Rails' own `request.content_length` would read a chunked body into memory to count it.
        return 411 if length.nil? || @request.get_header("HTTP_TRANSFER_ENCODING")
        return 413 if too_large?(length)

        422 unless length == @token[:content_length] && announced?
      end

      # Encrypts and stores the file. One that is there already stays: an address is good for one file, and two files
      # may have one MD5.
      # @param service [ActiveStorage::Service::EncryptedS3Service]
      # @return [void]
      # @raise [ActiveStorage::IntegrityError] when it is not the announced one
      # @raise [UnsupportedOperationError] when the announced checksum is of an unknown kind
      def store(service)
        checksum = Checksum.parse(@token[:checksum])
        body = IncomingBody.new(@request.body, @token[:content_length])
        return compare(body, checksum) if service.exist?(@token[:key])

        service.upload(@token[:key], body.io, checksum: @token[:checksum])
        identify(body.beginning)
      end

      private

      def content_length = @request.get_header("CONTENT_LENGTH").to_s[/\A\d{1,18}\z/]&.to_i

      def too_large?(length)
        limit = EncryptedS3Service.settings.direct_upload_limit
        length > Client::MAXIMUM_SIZE || (limit && length > limit)
      end

      # Without a checksum nobody would notice a file of other bytes, or one that ends too early.
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

      # What Active Storage does when a file is attached (ActiveStorage::Blob::Identifiable), for which it would have
      # the file downloaded again while somebody waits for the form.
      def identify(beginning)
        blob = ActiveStorage::Blob.find_by(key: @token[:key])
        return if blob.nil? || blob.identified?

        type = Marcel::MimeType.for(beginning, name: blob.filename.to_s, declared_type: blob.content_type)
        blob.update!(content_type: type, identified: true)
      rescue ActiveRecord::ActiveRecordError => e
        # The file is stored. Active Storage identifies it when it is attached.
        Rails.logger&.warn("Could not note the type of the direct upload #{@token[:key]}: #{e.class}")
      end
    end
  end
end
