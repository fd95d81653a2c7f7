# frozen_string_literal: true

module EncryptedS3Service
  class Client
    # Key rotation of stored objects.
    module Rewrap
      # Bytes of the largest object that S3 copies in one request.
      LARGEST_COPY = 5 << 30

      # The result of {Client::Rewrap#rotate}.
      # @!attribute outcome [Symbol] `:rotated`; `:current` when the data key was already wrapped by the writing key;
      #   `:reencrypt` when the object needs {Client::Rewrap#reencrypt}
      # @!attribute format [String, nil] `"v2"` or `"v3"`, which rotation does not change
      # @!attribute reason [String, nil] why the object must be encrypted again
      # @!attribute former_key_id [String, nil] the id of the former wrapping key
      Rotated = Data.define(:outcome, :format, :reason, :former_key_id)

      # Format and key id from an object's metadata; not authenticated.
      # @!attribute format [String, nil] `"v2"`, `"v3"` or `"v1"`; nil when there is no envelope, or more than one
      # @!attribute key_id [String, nil] the id of the wrapping key
      Envelope = Data.define(:format, :key_id)

      # Wraps an object's data key with the writing key and replaces the envelope. The body is neither read nor moved:
      # the store copies the object onto itself atomically. Content type, storage class, server-side encryption, tags
      # and other metadata are kept; the ACL is that of `upload.acl`.
      #
      # @param key [String] UTF-8
      # @param largest_copy [Integer] bytes of the largest object that the store copies in one request; larger objects
      #   are copied in parts of this size
      # @param verify [Boolean] whether to check that the store returns the new envelope, by one more request. Some
      #   stores accept the copy and change nothing
      # @return [Rotated]
      # @raise [NotFoundError]
      # @raise [KeyringError] when no configured key unwraps the object's data key
      # @raise [ChangedError] when the object is replaced repeatedly during the rotation
      # @raise [NotRotatedError] when `verify` is true and the store does not return the new envelope
      # @raise [Error]
      def rotate(key, largest_copy: LARGEST_COPY, verify: false)
        acl = configuration.object_settings["acl"]
        Rotated.new(**native.rotate(object_key(key), acl, largest_copy, verify ? true : false))
      end

      # Reads format and key id by one HEAD request.
      #
      # @param key [String] UTF-8
      # @return [Envelope]
      # @raise [NotFoundError]
      # @raise [Error]
      def envelope(key)
        head = native.head(object_key(key)) or raise NotFoundError, "There is no object #{key.inspect}."
        Envelope.new(**head.slice(:format, :key_id))
      end

      # Rotation cannot change the format: a V2 object's data key cannot be committed to later.
      #
      # @param format [String, nil] format of an object's envelope
      # @return [Boolean] whether it is V2 while new objects are V3, so that the object needs {#reencrypt}
      def outdated_format?(format) = format == "v2" && configuration.written_format == "v3"

      # Encrypts an object again, under the writing key and in the format of `commitment_policy`. The body passes
      # through this process.
      #
      # @param key [String] UTF-8; the object must not be replaced during the call
      # @param checksum [String, nil] checksum of the plaintext as in {Client#upload}. It is the only protection of
      #   legacy objects against changes
      # @return [Hash{Symbol => Object}] as in {Client#upload}
      # @raise [NotFoundError]
      # @raise [IntegrityError] when the object was changed or does not match the checksum; the object stays as it is
      #   then
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
