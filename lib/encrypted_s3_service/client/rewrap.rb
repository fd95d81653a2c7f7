# frozen_string_literal: true

require "json"

module EncryptedS3Service
  class Client
    # Key rotation of stored objects.
    module Rewrap
      # Bytes of the largest object that S3 copies in one request.
      LARGEST_COPY = 5 << 30

      # Metadata entries with the encryption context, in V2 and V3, and names in it that the format reserves.
      CONTEXTS = %w[x-amz-matdesc x-amz-t].freeze
      RESERVED = %w[aws:x-amz-cek-alg kms_cmk_id].freeze
      private_constant :CONTEXTS, :RESERVED

      # The result of {Client::Rewrap#rotate}.
      # @!attribute outcome [Symbol] `:rotated`; `:current` when the data key was already wrapped by the writing key;
      #   `:reencrypt` when the object needs {Client::Rewrap#reencrypt}; `:immovable` when it must stay as it is
      #   because it is archived or locked
      # @!attribute format [String, nil] `"v2"` or `"v3"`, which rotation does not change
      # @!attribute reason [String, nil] why the object must be encrypted again, or must stay as it is
      # @!attribute former_key_id [String, nil] the id of the former wrapping key
      Rotated = Data.define(:outcome, :format, :reason, :former_key_id)

      # Format, key id, place binding and recovery keys from an object's metadata, and whether it can be changed; not
      # authenticated.
      # @!attribute format [String, nil] `"v2"`, `"v3"` or `"v1"`; nil when there is no envelope, or more than one
      # @!attribute key_id [String, nil] the id of the wrapping key
      # @!attribute bound [Boolean] whether there is an entry that binds the object to a key of the bucket
      # @!attribute recovery [Array<String>] the recovery keys that the object names, 16 hexadecimal digits each
      # @!attribute immovable [String, nil] why the object must stay as it is: it is archived or locked
      Envelope = Data.define(:format, :key_id, :bound, :recovery, :immovable)

      # Wraps an object's data key with the writing key and replaces the envelope. The body is neither read nor moved:
      # the store copies the object onto itself atomically. Content type, storage class, server-side encryption, tags
      # and other metadata are kept; the ACL is that of `upload.acl`.
      #
      # An envelope in an instruction file, if the configuration reads such files, is replaced there by one small
      # request. The object stays as it is, so this also works for objects that are archived or locked.
      #
      # If `place_binding` is `"verify"`, an object that is not bound to its key (docs/format.md, 4) gets the entry that
      # binds it. This does not prove that it has always been under this key. An object without an entry for the
      # `recovery_keys` gets one.
      #
      # @param key [String] UTF-8
      # @param largest_copy [Integer] bytes of the largest object that the store copies in one request; larger objects
      #   are copied in parts of this size
      # @param verify [Boolean] whether to check that the store returns the new envelope, by one more request. Some
      #   stores accept the copy and change nothing
      # @param instruction_files [Boolean] whether envelopes in instruction files are replaced there; otherwise the
      #   outcome of such an object is `:reencrypt`
      # @return [Rotated]
      # @raise [NotFoundError]
      # @raise [KeyringError] when no configured key unwraps the object's data key
      # @raise [TamperedError] when the object was written under another key of the bucket (`code` is `"misplaced"`)
      # @raise [PolicyError] when the object is not bound to its key and `place_binding` is `"require"`
      # @raise [ChangedError] when the object is replaced repeatedly during the rotation
      # @raise [NotRotatedError] when `verify` is true and the store does not return the new envelope
      # @raise [Error]
      def rotate(key, largest_copy: LARGEST_COPY, verify: false, instruction_files: true)
        acl = configuration.object_settings["acl"]
        switches = [verify, instruction_files].map { |switch| switch ? true : false }
        answer = unwrapping(key) { |native| native.rotate(object_key(key), acl, largest_copy, *switches) }
        Rotated.new(**answer)
      end

      # Binds an object to its key after it was renamed or copied in the bucket. The body is not read. {#rotate} lists
      # the properties that are kept.
      #
      # @param key [String] UTF-8: the object's present key
      # @param from [String] UTF-8: the key that it was written under
      # @return [Boolean] false when it was already bound to `key`
      # @raise [NotFoundError]
      # @raise [TamperedError] when it was written neither under `key` nor under `from` (`code` is `"misplaced"`)
      # @raise [PolicyError] when it is not bound to any key
      # @raise [EnvelopeError] when an object of this form cannot be bound; it needs {#reencrypt}
      # @raise [NotRotatedError] when the store does not return the new entry
      # @raise [Error]
      def rebind(key, from:)
        acl = configuration.object_settings["acl"]
        answer = unwrapping(key) { |native| native.rebind(object_key(key), object_key(from), acl, LARGEST_COPY) }
        return answer[:outcome] == :rotated unless answer[:outcome] == :reencrypt

        raise EnvelopeError, "Object #{key.inspect} cannot be bound to its key: #{answer[:reason]}. Encrypt it again " \
                             "(reencrypt)."
      end

      # Reads format, key id, place binding and recovery keys by one HEAD request.
      #
      # @param key [String] UTF-8
      # @return [Envelope]
      # @raise [NotFoundError]
      # @raise [Error]
      def envelope(key)
        head = keyless.head(object_key(key)) or raise NotFoundError, "There is no object #{key.inspect}."
        Envelope.new(**head.slice(*Envelope.members))
      end

      # @param key_id [String, nil] the id of a wrapping key, from {#envelope}
      # @return [Boolean] whether it is the writing key's. If that key is an alias in AWS KMS, KMS is asked once for the
      #   key behind it, until {#forget_aliases}
      # @raise [Error]
      def writing_key?(key_id)
        key = configuration.encryption_key
        return key_id.to_s == key.id.to_s unless key.is_a?(KmsKey)
        return false unless key_id

        key.alias? ? key_id == arn_of_alias(key.id) : key.arn?(key_id)
      end

      # KMS checks the context, and an object's key id does not show it. This costs a request only if the configuration
      # has keys in AWS KMS with several contexts.
      #
      # @param key [String] UTF-8; of an object under the writing key
      # @return [Boolean] whether its encryption context is that of the writing key
      # @raise [NotFoundError]
      # @raise [Error]
      # @api private
      def writing_context?(key)
        context = configuration.encryption_key.context if configuration.encryption_key.is_a?(KmsKey)
        return true if context.nil? || configuration.keys.grep(KmsKey).all? { |other| other.context == context }

        JSON.parse(metadata(key).entries.values_at(*CONTEXTS).compact.first.to_s).except(*RESERVED) == context
      rescue JSON::ParserError
        false
      end

      # An alias may be moved to another key while this process runs.
      # @return [void]
      # @api private
      def forget_aliases = @arns = nil

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
        sending(key, checksum: Checksum.parse(checksum)&.to_s, content_type: nil) do |upload|
          download(key) { |chunk| upload.write(chunk) }
          upload.finish
        end
      end

      private

      def arn_of_alias(id) = (@arns ||= {})[id] ||= native.kms_key(id)[:arn]
    end
  end
end
