# frozen_string_literal: true

module EncryptedS3Service
  class Client
    # Older versions of an object, which a bucket with versioning keeps when the object is replaced or deleted.
    module Versions
      # Statuses of stores that do not support versioning; R2 sends 501.
      UNKNOWN = [400, 405, 501].freeze
      private_constant :UNKNOWN

      # Requires that {#keeps_versions?} is true, because other stores may not support the request. Needs the permission
      # `s3:ListBucketVersions`.
      #
      # @param key [String] UTF-8
      # @return [Array<String>] ids of the object's versions, without the latest and without delete markers
      # @raise [Error]
      # @api private
      def older_versions(key)
        full = object_key(key)
        keyless.versions(full).filter_map do |name, id, latest, marker|
          id if name == full && !latest && !marker
        end
      end

      # Reads format, key id and recovery keys of a version by one HEAD request. Needs `s3:GetObjectVersion`.
      #
      # @param key [String] UTF-8
      # @param id [String] of the version
      # @return [Rewrap::Envelope]
      # @raise [NotFoundError]
      # @raise [Error]
      # @api private
      def version_envelope(key, id)
        Rewrap::Envelope.new(**keyless.head_version(object_key(key), id).slice(*Rewrap::Envelope.members))
      end

      # Tries to unwrap the data key of a version. The body is not read.
      #
      # @param key [String] UTF-8
      # @param id [String] of the version
      # @return [nil]
      # @raise [KeyringError] when no configured key opens it
      # @raise [EnvelopeError] when its metadata hold no envelope
      # @raise [Error]
      # @api private
      def open_version(key, id)
        with_keys = native
        begin
          with_keys.open_version(object_key(key), id)
        rescue KeyringError => e
          raise @custodied&.refusal { version_envelope(key, id).key_id } || e
        end
      end

      # Needs the permission `s3:GetBucketVersioning`.
      #
      # @return [Boolean] whether the bucket keeps versions, or has kept some before; false for a folder
      # @raise [Error]
      # @api private
      def keeps_versions?
        return false if configuration.root

        # Once versioning was enabled, a bucket always reports a state.
        !keyless.bucket_state[:versioning].nil?
      rescue StoreError => e
        raise unless UNKNOWN.include?(e.status)

        false
      end
    end
  end
end
