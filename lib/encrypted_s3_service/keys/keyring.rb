# frozen_string_literal: true

require_relative "encryption_key"
require_relative "../errors"
require_relative "../configuration/options"

module EncryptedS3Service
  # The keys of one service: the writing key, and any number of keys that only read. An object names its key by an id.
  # An object without an id, or with an unknown one, is tried with each key in this order.
  # @api private
  class Keyring
    # Settings of an entry of `decryption_keys` that is a Hash.
    ENTRY_NAMES = %i[id key passphrase].freeze

    # @return [EncryptionKey, nil] the writing key
    attr_reader :writing

    # @return [String, nil] the setting whose key is missing
    attr_reader :missing

    # @param settings [Configuration::Options]
    # @raise [ConfigurationError] when a key is wrong, or two keys have the same id
    def initialize(settings)
      @writing = read_writing(settings)
      @reading = read_entries(settings).filter_map { |id, value| read_entry(settings, id, value) }
      @all = unique([@writing, *@reading].compact)
      freeze
    end

    # @return [Array<Hash>] the arguments of the native client, the writing key first; they hold the secrets
    def to_native = @all.map(&:to_native)

    private

    def read_writing(settings)
      value = settings.raw(:encryption_key)
      return lacking("encryption_key", value) if lacking?(value)

      id = settings.given?(:encryption_key_id) && (settings.string(:encryption_key_id) || "")
      EncryptionKey.new(value, id: id || nil, passphrase: settings.secret(:encryption_key_passphrase))
    end

    # @return [Array] pairs of an id (or a number when there is none) and a value
    def read_entries(settings)
      case (entries = settings.raw(:decryption_keys))
      when nil then []
      when Hash then entries.to_a
      when Array then entries.each_with_index.map { |value, index| [index, value] }
      else settings.refuse :decryption_keys, "must be a Hash of ids and keys, or a list of keys, not #{entries.class}"
      end
    end

    def read_entry(settings, name, value)
      setting = "decryption_keys.#{name}"
      by_id = settings.raw(:decryption_keys).is_a?(Hash)
      entry = Configuration::Options.new(value.is_a?(Hash) ? value : { key: value }, within: setting)
      entry.refuse_unknown(by_id ? ENTRY_NAMES - [:id] : ENTRY_NAMES)
      return lacking(setting, entry.raw(:key)) if lacking?(entry.raw(:key))

      id = by_id ? name.to_s : entry.string(:id)
      key = EncryptionKey.new(entry.raw(:key), id: id, passphrase: entry.secret(:passphrase), setting: setting,
                                               sizes: EncryptionKey::READING_SIZES)
      return key if key.reads?

      raise ConfigurationError, "#{setting} is a public key, which cannot read. Give the private key"
    end

    def lacking?(value)
      EncryptionKey.blank?(value) || (ENV.key?("SECRET_KEY_BASE_DUMMY") && KeySource.missing?(value))
    end

    # A missing key is allowed while assets are precompiled. Otherwise the caller refuses it ({#missing}).
    def lacking(setting, value)
      @missing ||= KeySource.missing?(value) ? "#{setting}: the file is missing" : "#{setting} is missing"
      nil
    end

    # The same key listed twice under the same id is one key. The writing key is often listed again.
    def unique(keys)
      keys = keys.uniq { |key| [key.id, key.bytes] }
      twice = keys.filter_map(&:id).tally.find { |_, count| count > 1 }
      raise ConfigurationError, "decryption_keys: two different keys have the id #{twice.first.inspect}" if twice

      keys
    end
  end
end
