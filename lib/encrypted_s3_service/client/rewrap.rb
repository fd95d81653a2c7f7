# frozen_string_literal: true

module EncryptedS3Service
  class Client
    # New keys for stored objects.
    module Rewrap
      # Bytes of the largest object that S3 copies in one request.
      LARGEST_COPY = 5 << 30

      # What became of an object.
      # @!attribute outcome [Symbol] `:rotated`; `:current` when the writing key had wrapped its data key already;
      #   `:reencrypt` when only {Client::Rewrap#reencrypt} helps
      # @!attribute format [String, nil] `"v2"` or `"v3"`, which rotation does not change
      # @!attribute reason [String, nil] why it has to be encrypted anew
      # @!attribute former_key_id [String, nil] the id of the key that the object asked for before
      Rotated = Data.define(:outcome, :format, :reason, :former_key_id)

      # What an object's metadata say of its envelope; nothing of it is authenticated.
      # @!attribute format [String, nil] `"v2"`, `"v3"`, `"v1"`; nil when there is no envelope, or more than one
      # @!attribute key_id [String, nil] the id of the key that the object asks for
      Envelope = Data.define(:format, :key_id)

      # Wraps an object's data key by the writing key and replaces its metadata. The body stays where it is and is not
      # read: the store copies the object onto itself, in one step in which readers see either envelope. Content type,
      # storage class, server-side encryption, tags and other metadata are kept; the ACL is the one of `upload.acl`.
      #
      # @param key [String] UTF-8
      # @param largest_copy [Integer] bytes of the largest object that the store copies in one request; larger ones are
      #   copied in parts of so many
      # @param verify [Boolean] whether the store is asked for the object again and has to show the new envelope, which
      #   is one request more. Some stores accept the copy and change nothing
      # @return [Rotated]
      # @raise [NotFoundError]
      # @raise [KeyringError] when no configured key opens the object's data key
      # @raise [ChangedError] when the object is replaced again and again meanwhile
      # @raise [NotRotatedError] when `verify` is given and the store does not show the new envelope
      # @raise [Error]
      def rotate(key, largest_copy: LARGEST_COPY, verify: false)
        acl = configuration.object_settings["acl"]
        Rotated.new(**native.rotate(object_key(key), acl, largest_copy, verify ? true : false))
      end

      # Asks the store for an object's metadata, and for nothing else.
      #
      # @param key [String] UTF-8
      # @return [Envelope]
      # @raise [NotFoundError]
      # @raise [Error]
      def envelope(key)
        head = native.head(object_key(key)) or raise NotFoundError, "there is no object #{key.inspect}"
        Envelope.new(**head.slice(:format, :key_id))
      end

      # Rotation cannot change a format: the data key of a V2 object cannot be bound to it afterwards.
      #
      # @param format [String, nil] of an object's envelope
      # @return [Boolean] whether it is V2 although new objects are V3, so that only {#reencrypt} helps
      def outdated_format?(format) = format == "v2" && configuration.written_format == "v3"

      # Encrypts an object anew, under the writing key and in the format that `commitment_policy` says. The body moves
      # through this process.
      #
      # @param key [String] UTF-8; nobody may replace the object meanwhile
      # @param checksum [String, nil] of the plaintext, as {Client#upload} takes it. Legacy objects hold nothing else by
      #   which a change would be noticed
      # @return [Hash{Symbol => Object}] as {Client#upload} does
      # @raise [NotFoundError]
      # @raise [IntegrityError] when the object is not what was stored, or has another checksum; then it stays
      # @raise [Error]
      def reencrypt(key, checksum: nil)
        expected = Checksum.parse(checksum)
        digest = expected&.digest
        sending(key, checksum: expected&.md5, content_type: nil) do |upload|
          download(key) do |chunk|
            digest&.update(chunk)
            upload.write(chunk)
          end
          expected.check(digest.base64digest) if digest
          upload.finish
        end
      end
    end
  end
end
