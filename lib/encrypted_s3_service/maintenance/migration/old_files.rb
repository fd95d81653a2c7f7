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
        noted = FormerKeys.of(blob.id)
        @services = noted.select { |_, name| endpoints.old_place?(name) }.group_by(&:first)
                         .transform_values { |pairs| pairs.map(&:last) }
        @entries = OldEntries.new(blob, endpoints.names, noted.map(&:first).uniq)
      end

      # @return [Array<String>] keys of files that no other blob names, the latest last. If the two services store their
      #   files in different places, the blob's own key is among them
      def keys
        @keys ||= (possible - named_by_others).select { |key| @endpoints.left?(@endpoints.from_name, key) }
      end

      # Services with different encryption keys may have the same bucket.
      # @param key [String] one of {#keys}
      # @return [ActiveStorage::Service] the service that wrote the file last; of a mirror, one that has it
      def service_of(key)
        parts = @endpoints.parts_of(@services[key]&.last || @endpoints.from_name)
        parts[..-2].find { |part| part.exist?(key) } || parts.last
      end

      # @return [Boolean] whether the blob names former keys that cannot be verified
      def doubtful? = @entries.doubtful?

      # Forgets former keys without an object: an earlier run deleted it and was killed before it removed the row. If
      # both services store files in the same place, this applies to every former key, otherwise to those recorded for
      # the old service.
      # @param deleted [Array<String>]
      # @return [void]
      def forget(deleted)
        gone = (@endpoints.shared? ? former : deleted | @services.keys) - (keys - deleted) - named_by_others
        return if gone.empty?

        @endpoints.require_old_place if (gone - deleted).any?
        gone.each { |key| FormerKeys.forget(key, services_without(key)) }
        @entries.forget(row, gone)
      end

      # @return [ActiveRecord::Relation] the blob's row, if it names the new service and none of its old files
      def row
        TaskRun::Rows.blobs.where(id: blob.id, service_name: @endpoints.to_name, key: blob.key)
      end

      private

      # The old entries do not name the service of the file.
      def former
        proven = @entries.proven
        proven = proven.select { |key| Endpoints.random_key?(key) } unless @endpoints.shared?
        (proven + @services.keys).uniq
      end

      # A mirror has files in other places too.
      def services_without(key)
        others = @services.fetch(key, []) - [@endpoints.from_name]
        overwritten = key == blob.key && @endpoints.shared?
        [@endpoints.from_name, *others.select { |name| overwritten || !@endpoints.left?(name, key) }]
      end

      def possible = @endpoints.shared? ? former - [blob.key] : (former + [blob.key]).uniq

      def named_by_others
        return [] if possible.empty?

        @named_by_others ||= TaskRun::Rows.connected do
          TaskRun::Rows.blobs.where(key: possible).where.not(id: blob.id).pluck(:key)
        end
      end
    end
  end
end
