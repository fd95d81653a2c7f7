# frozen_string_literal: true

require "openssl"
require "tmpdir"

module EncryptedS3Service
  module TaskRun
    # What a file has to be, by which copies are compared: its size, and the blob's checksum, or where the blob has none
    # (composed ones) a digest of what the source has.
    # @api private
    class ContentCheck
      # @param blob [ActiveStorage::Blob]
      def initialize(blob)
        @blob = blob
        @size = blob.byte_size
        @checksum = announced
      end

      # @return [String, nil] the blob's own checksum
      def announced = @blob.checksum.presence

      # @return [Hash] what Active Storage itself tells a service of the blob: type, disposition, name
      def description = @blob.send(:service_metadata)

      # Reads the file in a service and compares it. Where there is no checksum the first that is read sets one.
      # @param service [ActiveStorage::Service]
      # @param key [String] under which it is there
      # @yieldparam chunk [String]
      # @return [void]
      # @raise [IntegrityError]
      def check(service, key, &)
        algorithm, expected = algorithm_and_digest
        digest = OpenSSL::Digest.new(algorithm)
        bytes = read(service, key, digest, &)
        raise IntegrityError, "#{service.name} has #{bytes} bytes of it, not #{@size}" unless bytes == @size

        found = digest.base64digest
        @checksum ||= "sha256:#{found}"
        return if expected.nil? || found == expected

        raise IntegrityError, "what #{service.name} has of it does not have its checksum"
      end

      private

      def read(service, key, digest)
        bytes = 0
        service.download(key) do |chunk|
          digest.update(chunk)
          bytes += chunk.bytesize
          yield chunk if block_given?
        end
        bytes
      end

      def algorithm_and_digest
        return ["sha256", nil] unless @checksum

        checksum = Checksum.new(@checksum)
        [checksum.algorithm, checksum.base64]
      end
    end
  end
end
