# frozen_string_literal: true

require_relative "../task_run/unfinished_upload"

module EncryptedS3Service
  class Migration
    # Looks whether a blob's file is there to be moved, and changes nothing.
    # @api private
    class Rehearsal
      # @param endpoints [Endpoints]
      def initialize(endpoints)
        @endpoints = endpoints
      end

      # @param id [Object] of a blob
      # @return [Integer, Symbol, nil] bytes that would be moved; nil when the blob is gone meanwhile; `:unfinished`
      #   when it has no file and is attached to nothing
      # @raise [NotFoundError] when there is no file
      def call(id)
        connections = ActiveStorage::Blob.connection_pool
        blob = connections.with_connection { ActiveStorage::Blob.find_by(id: id, service_name: @endpoints.from_name) }
        return unless blob
        return blob.byte_size if @endpoints.from.exist?(blob.key)

        return :unfinished if TaskRun::UnfinishedUpload.of?(id)

        raise NotFoundError, "#{@endpoints.from_name} has no file of it"
      end

      # @return [void]
      def finish(_ids) = nil
    end
  end
end
