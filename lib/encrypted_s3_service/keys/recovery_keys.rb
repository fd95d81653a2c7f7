# frozen_string_literal: true

require "json"
require_relative "../errors"
require_relative "kms_key"
require_relative "rsa_key"
require_relative "source"

module EncryptedS3Service
  # The public RSA keys whose owners can open every new object without the application (`recovery_keys`): the data key
  # is wrapped once more under each of them, in a metadata entry of the object (docs/format.md, 7).
  # @api private
  class RecoveryKeys
    # Maximum number of keys.
    MAXIMUM = 8
    # Bytes of user metadata that S3 stores for an object.
    METADATA_LIMIT = 2048

    # The prefix of each entry, which some stores count and others do not.
    PREFIX = "x-amz-meta-"
    NAME = "encrypted-s3-recovery"
    # Bytes of the entry without the keys (version, count and tag), and of each key without the wrapped data key.
    FRAME = 34
    RECORD = 10
    # The other entries of an object by format: their names, and their values without the wrapped key and the key id.
    OTHERS = {
      "v2" => { "x-amz-key-v2" => 0, "x-amz-iv" => 16, "x-amz-cek-alg" => 17, "x-amz-wrap-alg" => 14,
                "x-amz-tag-len" => 3, "x-amz-matdesc" => 14 },
      "v3" => { "x-amz-3" => 0, "x-amz-w" => 2, "x-amz-c" => 3, "x-amz-d" => 40, "x-amz-i" => 40, "x-amz-m" => 14 }
    }.freeze
    PLACE = { "encrypted-s3-place" => 44 }.freeze
    # Maximum bytes of a data key wrapped by AES, and of one wrapped by AWS KMS with its context.
    WRAPPED = { "aes" => 60, "kms" => 480 }.freeze
    private_constant :PREFIX, :NAME, :FRAME, :RECORD, :OTHERS, :PLACE, :WRAPPED

    # @param settings [Configuration::Options]
    # @param tolerant [Boolean] whether the file of a key may be missing
    # @raise [ConfigurationError] when one is not a public RSA key of 2,048 to 4,096 bits
    def initialize(settings, tolerant)
      given = entries(settings.raw(:recovery_keys))
      given = given.reject { |_, value| KeySource.missing?(value) } if tolerant
      @keys = given.map { |name, value| read(name, value) }
      refuse "has more than #{MAXIMUM} keys" if @keys.size > MAXIMUM
      refuse "has the same key twice" if @keys.uniq(&:fingerprint).size < @keys.size
      freeze
    end

    # @return [Boolean]
    def any? = @keys.any?

    # @return [Array<String>] binary DER of each key
    def to_native = @keys.map(&:der)

    # @return [Array<String>] 16 hexadecimal digits of each key, as in the objects' metadata
    def fingerprints = @keys.map { |key| key.fingerprint[0, 16] }

    # Refuses more keys than fit into an object's metadata.
    # @param writing [EncryptionKey, CustodiedKey]
    # @param format [String] `"v2"` or `"v3"`
    # @param place [Boolean] whether objects are bound to their keys
    # @return [void]
    # @raise [ConfigurationError]
    def check_size(writing, format, place:)
      return unless any?

      size = metadata_size(writing, format, place: place)
      return if size <= METADATA_LIMIT

      refuse "do not fit: objects would have #{size} bytes of metadata, and S3 stores #{METADATA_LIMIT}. " \
             "#{@keys.size} keys of #{@keys.map(&:bits).join(", ")} bits are too many: give fewer or smaller ones"
    end

    # @return [Integer] maximum bytes of an object's metadata, including names and prefixes
    def metadata_size(writing, format, place:)
      own = FRAME + @keys.sum { |key| RECORD + (key.bits / 8) }
      entries = { **OTHERS.fetch(format), **(place ? PLACE : {}), NAME => base64(own) }
      names = entries.keys.sum { |name| PREFIX.bytesize + name.bytesize }
      names + entries.values.sum + base64(wrapped(writing)) + writing.id.to_s.bytesize + context_size(writing)
    end

    private

    def entries(value)
      case value
      when nil then []
      when Hash then value.map { |name, key| ["recovery_keys.#{Configuration::Options.label(name)}", key] }
      when Array then value.each_with_index.map { |key, at| ["recovery_keys.#{at}", key] }
      else [["recovery_keys", value]]
      end
    end

    def read(name, value)
      text = KeySource.resolve(value, name)
      unless RsaKey.looks_like?(text)
        raise ConfigurationError, "#{name} must be a public RSA key in PEM, or file: and the path of one"
      end

      key = RsaKey.new(text, passphrase: nil, setting: name, passphrase_setting: "#{name}.passphrase")
      return key unless key.private?

      raise ConfigurationError, "#{name} is a private key, which must not be here: it opens every object. Give the " \
                                "public key: openssl pkey -in FILE -pubout"
    end

    def base64(bytes) = (bytes + 2) / 3 * 4

    def context_size(key) = key.is_a?(KmsKey) ? JSON.generate(key.context, ascii_only: true).bytesize : 0

    def wrapped(key) = WRAPPED.fetch(key.kind) { OpenSSL::PKey.read(key.bytes).n.num_bytes }

    def refuse(problem) = raise(ConfigurationError, "recovery_keys #{problem}")
  end
end
