# frozen_string_literal: true

require_relative "../configuration/confidential"
require_relative "../errors"
require_relative "custody"
require_relative "encryption_key"
require_relative "reference"

module EncryptedS3Service
  # A wrapping key that the configuration only refers to. The key itself is requested from the custodian when it is
  # needed; see {KeyCustody}.
  # @api private
  class CustodiedKey
    include Confidential

    # @return [String, nil] the key id in the objects' metadata
    attr_reader :id

    # @return [KeyReference]
    attr_reader :reference

    # @param value [String] the reference
    # @param id [String, nil] the key id in the objects' metadata; nil for that of the reference, `""` means none
    # @param setting [String] the name of the setting, for messages
    # @raise [ConfigurationError] when it is not a reference, or there is no id
    def initialize(value, id: nil, setting: "encryption_key")
      @reference = KeyReference.new(value, setting)
      EncryptionKey.check_id(id, setting) if id
      @id = id ? id.dup.freeze : @reference.key_id
      raise ConfigurationError, "#{setting} is a reference without a key id: #{advice(setting)}" if @id.nil?

      @id = nil if @id.empty?
      freeze
    end

    # @return [String] the kind of key, as {EncryptionKey#kind}
    def kind = "aes"

    # @return [Boolean] true
    def reads? = true

    # @return [Boolean] true
    def custodied? = true

    # @return [String] equal for equal keys from any source; not secret
    def fingerprint = @reference.key_id || @reference.text

    # Requests the key, unless this process has it.
    # @return [KeyCustody::Copy] must be wiped
    # @raise [KeyringError]
    def copy = EncryptedS3Service.key_custody.copy(@reference)

    # @return [Hash{Symbol => Object}] the key for the native client, including the secret
    # @raise [KeyringError]
    def to_native = native_with(copy.bytes)

    # @param bytes [String]
    # @return [Hash{Symbol => Object}] the key for the native client, including the secret
    def native_with(bytes) = { id: @id, kind: kind, key: bytes }

    private

    def public_attributes = { id: @id, key: :in_custody }

    def advice(setting)
      return "append # and the id, or set encryption_key_id" if setting == "encryption_key"

      "append # and the id, or give decryption_keys as a Hash of ids and keys"
    end
  end
end
