# frozen_string_literal: true

require_relative "../errors"

module EncryptedS3Service
  # A key in AWS KMS. It never leaves KMS, which generates and decrypts the data keys of objects, with one request for
  # each.
  class KmsKey
    # The prefix of a KMS key id where keys of several kinds are allowed.
    PREFIX = "kms:"
    # Names that a Hash for such a key has.
    NAMES = %i[kms_key_id kms_encryption_context].freeze
    # A key id, the ARN of a key, an alias, or the ARN of an alias. The region becomes a part of a host name.
    ID = %r{\A(arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:(key/[\w-]+|alias/[\w:/-]+)|alias/[\w:/-]+|[\w-]{1,128})\z}
    private_constant :ID

    # @return [String, nil] the configured id of the key; nil stands for any key, which reads and does not write
    attr_reader :id

    # @return [Hash{String => String}] the encryption context of its objects, without the reserved entry
    attr_reader :context

    # @param value [Object] the value of a setting for a key
    # @return [Boolean] whether it is a key in KMS: a String that begins with `kms:`, or a Hash with `kms_key_id`
    def self.given?(value)
      return value.transform_keys(&:to_sym).key?(:kms_key_id) if value.is_a?(Hash)

      # A raw AES key can begin with any bytes.
      value.is_a?(String) && value.b.start_with?(PREFIX) &&
        (value.bytesize != EncryptionKey::SIZE || value.delete_prefix(PREFIX).match?(ID))
    end

    # @param value [String, Hash] `kms:` and an id, or a Hash of `kms_key_id` and `kms_encryption_context`
    # @param context [Hash] the encryption context, unless the Hash has one
    # @param region [String, nil] `kms_region`
    # @param setting [String] the name of the key in messages
    # @return [KmsKey]
    # @raise [ConfigurationError]
    def self.parse(value, context:, region:, setting:)
      return new(value.delete_prefix(PREFIX), context: context, region: region, setting: setting) if value.is_a?(String)

      options = Configuration::Options.new(value, within: setting)
      options.refuse_unknown(NAMES)
      own = options.raw(:kms_encryption_context)
      new(options.string(:kms_key_id), context: own || context, region: region, setting: setting)
    end

    # @param context [Hash] the encryption context of its objects
    # @return [KmsKey] any key: KMS uses the one that encrypted the object's data key
    # @raise [ConfigurationError]
    def self.any(context:) = new(nil, any: true, context: context)

    # @param id [String, nil] a key id, an ARN or an alias
    # @param context [Hash] strings by name
    # @param region [String, nil] `kms_region`
    # @param setting [String] the name of the key in messages
    # @param any [Boolean] whether there is no id, because any key may read
    # @raise [ConfigurationError] when it is not the id of a KMS key, is in another region, or the context has values
    #   other than strings
    def initialize(id, context: {}, region: nil, setting: "kms_key_id", any: false)
      @id = (any ? nil : check(id, region, setting))&.dup.freeze
      @context = read(context).freeze
      freeze
    end

    # @return [String] `"kms"`
    def kind = "kms"

    # @return [Boolean] true
    def reads? = true

    # @return [Boolean] false: the key stays in KMS
    def custodied? = false

    # @return [Array] the same for the same key with the same context
    # @api private
    def fingerprint = [@id, @context]

    # @return [Boolean] whether the id is an alias, which does not identify its key
    def alias? = !id.nil? && id.match?(%r{\A(arn:.*:)?alias/})

    # @param arn [String] of a key
    # @return [Boolean] whether it is the ARN of this key; false for an alias
    def arn?(arn) = !id.nil? && !alias? && arn[%r{[^/]*\z}] == id[%r{[^/]*\z}]

    # @return [Hash{Symbol => Object}] the key for the native client
    # @api private
    def to_native = { id: @id, kind: kind, context: @context }

    private

    def check(id, region, setting)
      refuse setting, "must be the id, the ARN or an alias of a key in AWS KMS" unless id&.match?(ID)
      of_arn = id[/\Aarn:[^:]*:kms:([^:]*):/, 1]
      return id if of_arn.nil? || region.nil? || of_arn == region

      refuse setting, "is a key of the region #{of_arn}, but kms_region is #{region}. Remove kms_region: the ARN " \
                      "contains it"
    end

    def read(context)
      refuse "kms_encryption_context", "must be a Hash of Strings" unless context.is_a?(Hash)

      context.to_h do |name, value|
        unless value.is_a?(String) || value.is_a?(Symbol)
          refuse "kms_encryption_context.#{name}", "must be a String (quote it in YAML), not #{value.class}"
        end
        [name.to_s, value.to_s]
      end
    end

    def refuse(setting, problem)
      raise ConfigurationError, "#{setting} #{problem}"
    end
  end
end
