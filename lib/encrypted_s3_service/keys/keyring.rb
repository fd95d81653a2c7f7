# frozen_string_literal: true

require_relative "custodied_key"
require_relative "encryption_key"
require_relative "kms_key"
require_relative "../errors"

module EncryptedS3Service
  # The keys of one service: the writing key and any number of reading keys. An object names its key by id. If it names
  # none, or one that is not in the keyring, each key is tried in this order.
  # @api private
  class Keyring
    # Names that a Hash in `decryption_keys` may have.
    ENTRY_NAMES = %i[id key passphrase].freeze

    # @return [EncryptionKey, CustodiedKey, KmsKey, nil] the writing key
    attr_reader :writing

    # @return [String, nil] the problem, if a key is missing
    attr_reader :missing

    # @param settings [Configuration::Options]
    # @param tolerant [Boolean] whether the file of a key may be missing
    # @raise [ConfigurationError] when a key is not valid, or two have the same id
    def initialize(settings, tolerant)
      @tolerant = tolerant
      @kms = { context: settings.raw(:kms_encryption_context) || {}, region: settings.string(:kms_region) }.freeze
      writing = read_writing(settings)
      @reading = read_entries(settings).filter_map { |id, value| read_entry(settings, id, value) }
      @writing = whole(writing)
      # Tried last: KMS then uses the key that the object names.
      any = KmsKey.any(context: @kms[:context]) if settings.boolean(:kms_allow_decrypt_with_any_cmk, false)
      @all = unique([@writing, *@reading, any].compact)
      refuse_context_without_key(settings)
      freeze
    end

    # @return [Array<EncryptionKey, CustodiedKey>] the writing key first
    def keys = @all

    # @return [Boolean] whether a custodian keeps at least one of the keys
    def custodied? = @all.any?(&:custodied?)

    # @return [Array<Hash>] the keys for the native client, the writing key first; including the secrets
    # @raise [KeyringError] when a custodian does not return a key
    def to_native = @all.map(&:to_native)

    private

    def read_writing(settings)
      value = settings.raw(:encryption_key)
      return read_kms_key(settings) if kms_key?(settings, value)
      return lacking("encryption_key", value) if lacking?(value)
      return in_kms(value, settings, "encryption_key") if KmsKey.given?(value)

      id = settings.given?(:encryption_key_id) && (settings.string(:encryption_key_id) || "")
      key_of(value, setting: "encryption_key", id: id || nil, passphrase: settings.secret(:encryption_key_passphrase))
    end

    # A public key and its private one usually have the same id, so only one of the two can be in a keyring.
    def whole(key)
      return key unless key&.kind == "rsa_public"

      @reading.find { |other| [other.id, other.fingerprint] == [key.id, key.fingerprint] } || key
    end

    # The file of a key can also contain a reference. It is read once, because it can be a pipe.
    def key_of(value, setting:, id:, passphrase:, sizes: [EncryptionKey::SIZE])
      value = KeySource.resolve(value, setting)
      unless KeyReference.reference?(value)
        return EncryptionKey.new(value, id: id, passphrase: passphrase, setting: setting, sizes: sizes)
      end
      raise ConfigurationError, "#{setting} is a reference, which has no passphrase" if passphrase

      key = CustodiedKey.new(value, id: id, setting: setting)
      return key if EncryptedS3Service.key_custodian
      raise ConfigurationError, KeyCustody.missing(setting) unless @tolerant

      @missing ||= KeyCustody.missing(setting)
      nil
    end

    # The id can be an empty text of the environment. Then it is missed only if there is no other key.
    def kms_key?(settings, other)
      settings.raw(:kms_key_id) || (settings.given?(:kms_key_id) && lacking?(other))
    end

    def read_kms_key(settings)
      if settings.raw(:encryption_key)
        settings.refuse :kms_key_id, "cannot be combined with encryption_key. Put the key that only reads into " \
                                     "decryption_keys"
      end
      id = settings.string(:kms_key_id)
      return lacking("kms_key_id", nil) if id.nil?

      in_kms("#{KmsKey::PREFIX}#{id.delete_prefix(KmsKey::PREFIX)}", settings, "kms_key_id")
    end

    # The id of such a key is its ARN.
    def in_kms(value, settings, setting)
      name = %i[encryption_key_id encryption_key_passphrase].find { |other| settings.raw(other) }
      settings.refuse name, "is not for keys in AWS KMS, which have their own ids" if name

      KmsKey.parse(value, **@kms, setting: setting)
    end

    def refuse_context_without_key(settings)
      return if @kms[:context].empty? || @missing || @all.any?(KmsKey)

      settings.refuse :kms_encryption_context, "needs a key in AWS KMS: set kms_key_id"
    end

    # @return [Array] pairs of an id, or of a number if there is none, and a value
    def read_entries(settings)
      case (entries = settings.raw(:decryption_keys))
      when nil then []
      when Hash then entries.to_a
      when Array then entries.each_with_index.map { |value, index| [index, value] }
      else settings.refuse :decryption_keys, "must be a Hash of ids and keys, or a list of keys, not #{entries.class}"
      end
    end

    def read_entry(settings, name, value)
      setting = "decryption_keys.#{Configuration::Options.label(name)}"
      by_id = settings.raw(:decryption_keys).is_a?(Hash)
      return KmsKey.parse(value, **@kms, setting: setting) if KmsKey.given?(value)

      entry = Configuration::Options.new(value.is_a?(Hash) ? value : { key: value }, within: setting)
      entry.refuse_unknown(by_id ? ENTRY_NAMES - [:id] : ENTRY_NAMES)
      return lacking(setting, entry.raw(:key)) if lacking?(entry.raw(:key))

      id = by_id ? name.to_s : entry.string(:id)
      key = key_of(entry.raw(:key), id: id, passphrase: entry.secret(:passphrase), setting: setting,
                                    sizes: EncryptionKey::READING_SIZES)
      return key if key.nil? || key.reads?

      raise ConfigurationError, "#{setting} is a public key, which cannot read: give the private key"
    end

    def lacking?(value)
      EncryptionKey.blank?(value) || (@tolerant && KeySource.missing?(value))
    end

    # While assets are precompiled there may be no key yet. Otherwise the caller of {#missing} raises.
    def lacking(setting, value)
      @missing ||= KeySource.missing?(value) ? "#{setting}: the file is missing" : "#{setting} is missing"
      nil
    end

    # A key that is listed again under its own id is one key. This often happens to the writing key.
    def unique(keys)
      keys = keys.uniq { |key| [key.id, key.fingerprint] }
      twice = keys.grep_v(KmsKey).filter_map(&:id).tally.find { |_, count| count > 1 }
      raise ConfigurationError, "decryption_keys: two different keys have the id #{twice.first.inspect}" if twice

      keys
    end
  end
end
