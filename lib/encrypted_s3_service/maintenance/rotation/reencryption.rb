# frozen_string_literal: true

require_relative "../task_run/content_check"
require_relative "../task_run/rows"
require_relative "envelope_probe"

module EncryptedS3Service
  class Rotation
    # Encrypts one object again and verifies it.
    # @api private
    class Reencryption
      # @param service [ActiveStorage::Service::EncryptedS3Service]
      # @param blob [ActiveStorage::Blob]
      def initialize(service, blob)
        @service = service
        @client = service.client
        @blob = blob
      end

      # @return [void]
      # @raise [NotRotatedError] when the store still returns the old envelope
      # @raise [StandardError] when the object does not match the blob; it is unchanged then
      def run
        content = TaskRun::ContentCheck.new(@blob, repair: true)
        # If the row has no checksum, the present content determines it.
        content.source(@service, @blob.key) unless content.announced(@service)
        @client.reencrypt(@blob.key, checksum: content.announced(@service))
        refuse_old_envelope
        content.copy(@service, @blob.key)
        delete_instruction_file
        # If the blob was purged meanwhile, no row names the object that has just been stored.
        @client.delete(@blob.key) if TaskRun::Rows.purged?(@blob)
      end

      private

      # Reading the content back does not show whether the object is the old one.
      def refuse_old_envelope
        envelope = @client.envelope(@blob.key)
        return if envelope.format == @client.configuration.written_format && @client.writing_key?(envelope.key_id)

        raise NotRotatedError, "The store accepted object #{@blob.key.inspect} but still returns its old envelope. " \
                               "Do not remove the old key from `decryption_keys`."
      end

      # The object has an envelope of its own now. An application may have chosen such a key for another file.
      def delete_instruction_file
        suffix = @client.configuration.instruction_file_suffix or return
        key = "#{@blob.key}#{suffix}"
        @client.delete(key) unless TaskRun::Rows.connected { TaskRun::Rows.blobs.exists?(key: key) }
      end
    end
  end
end
