# frozen_string_literal: true

module EncryptedS3Service
  class Client
    # Segment maps of objects that were stored without one.
    module Index
      # Stores the segment map of an object (`<key>.segments`, docs/format.md, 3) if the object has none: because
      # another client or an older version wrote it, or because the upload was interrupted. The whole object is read
      # once, and its map is stored only if the authentication tag is right.
      #
      # @param key [String] UTF-8
      # @param dry_run [Boolean] whether to read and store nothing and only report whether the object lacks a map
      # @return [Symbol] `:stored`; `:present` when it already has a map, of which only the header is checked; `:small`
      #   when it has at most `memory_limit` bytes; `:impossible` for a legacy object, or when the key is too long;
      #   `:lacking` in a dry run
      # @raise [NotFoundError]
      # @raise [KeyringError] when no configured key unwraps the object's data key
      # @raise [IntegrityError] when the object was changed or is truncated; no map is stored then
      # @raise [StoreError] when another object is stored under the key of the map; it is left alone
      # @raise [Error]
      def index(key, dry_run: false)
        settings = configuration.object_settings
        unwrapping(key) { |native| native.index(object_key(key), settings, dry_run ? true : false) }
      end
    end
  end
end
