# frozen_string_literal: true

require_relative "custodied_key"
require_relative "encryption_key"
require_relative "../errors"
require_relative "../configuration/options"

module EncryptedS3Service
  # The keys of one service: the one that writes, and any number of others that read. An object names its key by id; one
  # that names none, or one that is not there, is tried with each key in this order.
  # @api private
  class Keyring
    # What an entry of `decryption_keys` may have where it is a Hash.
    ENTRY_NAMES = %i[id key passphrase].freeze

    # @return [EncryptionKey, CustodiedKey, nil] the one that writes
    attr_reader :writing

    # @return [String, nil] which setting lacks its key
    attr_reader :missing

    # @param settings [Configuration::Options]
    # @param tolerant [Boolean] whether the file of a key may be missing
    # @raise [ConfigurationError] when a key is not one, or two have the same id
    def initialize(settings, tolerant)
      @tolerant = tolerant
      @writing = read_writing(settings)
      @reading = read_entries(settings).filter_map { |id, value| read_entry(settings, id, value) }
      @all = unique([@writing, *@reading].compact)
      freeze
    end

    # @return [Array<EncryptionKey, CustodiedKey>] the writing key first
    def keys = @all

    # @return [Boolean] whether a custodian keeps a key of them
    def custodied? = @all.any?(&:custodied?)

    # @return [Array<Hash>] what the native client takes, the writing key first; it holds the secrets
    # @raise [KeyringError] when a custodian does not return a key
    def to_native = @all.map(&:to_native)

    private

    def read_writing(settings)
      value = settings.raw(:encryption_key)
      return lacking("encryption_key", value) if lacking?(value)

      id = settings.given?(:encryption_key_id) && (settings.string(:encryption_key_id) || "")
      key_of(value, setting: "encryption_key", id: id || nil, passphrase: settings.secret(:encryption_key_passphrase))
    end

    # A file may hold a reference, too.
    def key_of(value, setting:, id:, passphrase:, sizes: [EncryptionKey::SIZE])
      reference = KeySource.resolve(value, setting)
      unless KeyReference.reference?(reference)
        return EncryptionKey.new(value, id: id, passphrase: passphrase, setting: setting, sizes: sizes)
      end
      raise ConfigurationError, "#{setting} is a reference, which has no passphrase" if passphrase

      key = CustodiedKey.new(reference, id: id, setting: setting)
      return key if EncryptedS3Service.key_custodian
      raise ConfigurationError, KeyCustody.missing(setting) unless @tolerant

      @missing ||= KeyCustody.missing(setting)
      nil
    end

    # @return [Array] pairs of an id, or a number for the want of one, and a value
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
      entry = Configuration::Options.new(value.is_a?(Hash) ? value : { key: value }, within: setting)
      entry.refuse_unknown(by_id ? ENTRY_NAMES - [:id] : ENTRY_NAMES)
      return lacking(setting, entry.raw(:key)) if lacking?(entry.raw(:key))

      id = by_id ? name.to_s : entry.string(:id)
      key = key_of(entry.raw(:key), id: id, passphrase: entry.secret(:passphrase), setting: setting,
                                    sizes: EncryptionKey::READING_SIZES)
      return key if key.nil? || key.reads?

      raise ConfigurationError, "#{setting} is a public key, which reads nothing: give the private key"
    end

    def lacking?(value)
      EncryptionKey.blank?(value) || (@tolerant && KeySource.missing?(value))
    end

    # Where assets are precompiled there may be no key yet; anywhere else this is refused by who asks for {#missing}.
    def lacking(setting, value)
      @missing ||= KeySource.missing?(value) ? "#{setting}: the file is missing" : "#{setting} is missing"
      nil
    end

    # A key that is listed again under its own id, as the writing one easily is, is one key.
    def unique(keys)
      keys = keys.uniq { |key| [key.id, key.fingerprint] }
      twice = keys.filter_map(&:id).tally.find { |_, count| count > 1 }
      raise ConfigurationError, "decryption_keys: two different keys have the id #{twice.first.inspect}" if twice

      keys
    end
  end
end
