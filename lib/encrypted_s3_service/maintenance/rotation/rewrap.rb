# frozen_string_literal: true

require_relative "reencryption"

module EncryptedS3Service
  class Rotation
    # Has the objects of one blob under the writing key.
    # @api private
    class Rewrap
      # @param files [BlobWalk]
      # @param reencrypt [Boolean]
      def initialize(files, reencrypt:)
        @files = files
        @reencrypt = reencrypt
      end

      # @param id [Object] of a blob
      # @return [Array<Finding>]
      def call(id)
        @files.objects(id) { |service, blob| change(service, blob) }
      end

      private

      def change(service, blob)
        old = old_format(service, blob.key) if @reencrypt
        return reencrypted(service, blob, old.key_id) if old

        rotated = service.client.rotate(blob.key)
        return reencrypted(service, blob, rotated.former_key_id) if @reencrypt && rotated.outcome == :reencrypt

        Finding.of(rotated.outcome, service.client.configuration, format: rotated.format,
                                                                  key_id: rotated.former_key_id)
      end

      # Rotated first, such an object would be copied for nothing.
      # @return [Client::Rewrap::Envelope, nil] nil unless it is V2 where V3 is written
      def old_format(service, key)
        return if service.client.configuration.written_format == "v2"

        envelope = service.client.envelope(key)
        envelope if envelope.format == "v2"
      end

      def reencrypted(service, blob, key_id)
        Reencryption.new(service, blob).run
        configuration = service.client.configuration
        Finding.of(:reencrypted, configuration, format: configuration.written_format, key_id: key_id)
      end
    end
  end
end
