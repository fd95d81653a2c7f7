# frozen_string_literal: true

require_relative "../task_run/rows"

module EncryptedS3Service
  class Migration
    # Former keys as the first versions of this gem stored them: a list in the metadata of a blob. A client can write
    # there, too, so an entry is used only if it can be verified: a file that was moved within one place got a key that
    # is a digest of its former one, and a client cannot choose a former key that matches.
    # @api private
    class OldEntries
      # The name of the entry in the metadata.
      NAME = "encrypted_s3_service_former_keys"
      # Maximum number of entries to examine for one blob. A client may have written any number.
      MOST = 50
      private_constant :MOST

      # @param blob [ActiveStorage::Blob]
      # @param names [Array<String>] of services between which it may have been moved
      # @param known [Array<String>] its former keys from the table
      def initialize(blob, names, known)
        @entries = Array(blob.metadata[NAME]).grep(String).uniq.last(MOST)
        @names = names
        @known = known
        @proven = prove([blob.key, *known])
      end

      # @return [Array<String>] verified former keys, the latest last
      attr_reader :proven

      # @return [Boolean] whether there are unverified entries, for which nothing may be deleted
      def doubtful? = (@entries - @proven - @known).any?

      # @param row [ActiveRecord::Relation] of the blob
      # @param gone [Array<String>] keys whose files no longer exist
      # @return [void]
      def forget(row, gone)
        return unless @entries.intersect?(gone)

        TaskRun::Rows.locked(row) do |blob|
          left = Array(blob.metadata[NAME]) - gone
          row.update_all(metadata: left.empty? ? blob.metadata.except(NAME) : blob.metadata.merge(NAME => left))
        end
      end

      private

      # Starts at the blob's present key and follows the digests back.
      def prove(certain)
        followers = @entries.to_h { |key| [key, @names.map { |name| Endpoints.moved_key(name, key) }] }
        found = []
        while (key = followers.find { |_, keys| keys.intersect?(certain) }&.first)
          followers.delete(key)
          certain << key
          found.unshift(key)
        end
        found - [certain.first]
      end
    end
  end
end
