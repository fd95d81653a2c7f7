# frozen_string_literal: true

require_relative "former_keys"
require_relative "old_entries"

module EncryptedS3Service
  class Migration
    # The old files that a blob still has in the service from which it was moved.
    # @api private
    class OldFiles
      # @return [ActiveStorage::Blob]
      attr_reader :blob

      # @param blob [ActiveStorage::Blob] that names the new service
      # @param endpoints [Endpoints]
      def initialize(blob, endpoints)
        @blob = blob
        @endpoints = endpoints
        @services = FormerKeys.of(blob.id)
        @noted = @services.select { |_, service_name| endpoints.old_place?(service_name) }.keys
        @entries = OldEntries.new(blob, endpoints.names, @services.keys)
      end

      # @return [Array<String>] keys of files that no other blob names, the latest last. If the two services store their
      #   files in different places, the blob's own key is among them
      def keys
        @keys ||= (possible - named_by_others).select { |key| @endpoints.from.exist?(key) }
      end

      # Services with different encryption keys may have the same bucket.
      # @param key [String] one of {#keys}
      # @return [ActiveStorage::Service] the service that wrote the file
      def service_of(key)
        noted = @services[key] if @noted.include?(key)
        noted ? TaskRun::Services.fetch(noted) : @endpoints.from
      end

      # @return [Boolean] whether the blob names former keys that cannot be verified
      def doubtful? = @entries.doubtful?

      # Forgets former keys without an object: an earlier run deleted it and was killed before it removed the row. If
      # both services store files in the same place, this applies to every former key, otherwise to those recorded for
      # the old service.
      # @param deleted [Array<String>]
      # @return [void]
      def forget(deleted)
        gone = @endpoints.shared? ? former - (keys - deleted) : deleted | lost
        return if gone.empty?

        FormerKeys.forget(gone)
        @entries.forget(row, gone)
      end

      # @return [ActiveRecord::Relation] the blob's row, if it names the new service and none of its old files
      def row
        ActiveStorage::Blob.where(id: blob.id, service_name: @endpoints.to_name, key: blob.key)
      end

      private

      # The old entries do not name the service of the file.
      def former
        proven = @entries.proven
        proven = proven.select { |key| Endpoints.random_key?(key) } unless @endpoints.shared?
        (proven + @noted).uniq
      end

      def lost = @noted - keys - named_by_others

      def possible = @endpoints.shared? ? former - [blob.key] : (former + [blob.key]).uniq

      def named_by_others
        return [] if possible.empty?

        TaskRun::Rows.connected { ActiveStorage::Blob.where(key: possible).where.not(id: blob.id).pluck(:key) }
      end
    end
  end
end
