# frozen_string_literal: true

require_relative "../task_run/content_check"

module EncryptedS3Service
  class Rotation
    # Encrypts one object anew and reads it back.
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
      # @raise [StandardError] when the object is not what the blob has to be; then it stays as it is
      def run
        content = TaskRun::ContentCheck.new(@blob)
        # Without a checksum of its own, what it is now is what it has to be.
        content.check(@service, @blob.key) unless content.announced
        @client.reencrypt(@blob.key, checksum: content.announced)
        content.check(@service, @blob.key)
        delete_instruction_file
        # Purged meanwhile: nobody would know of the object that has just been stored.
        @client.delete(@blob.key) unless row?
      end

      private

      # The object has an envelope of its own now.
      def delete_instruction_file
        suffix = @client.configuration.instruction_file_suffix
        @client.delete("#{@blob.key}#{suffix}") if suffix
      end

      def row?
        ActiveStorage::Blob.connection_pool.with_connection { ActiveStorage::Blob.exists?(@blob.id) }
      end
    end
  end
end
