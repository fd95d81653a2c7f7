# frozen_string_literal: true

require "openssl"
require_relative "../configuration/confidential"
require_relative "encryption_key"

module EncryptedS3Service
  # Derives a key for each tenant from one master key and the tenant's id (HKDF with SHA-256, RFC 5869). Anybody who has
  # the master key can derive all of them. To be able to destroy one tenant's key, add a salt that is kept in the
  # tenant's row and nowhere else:
  #
  #     EncryptedS3Service::DerivedKeys.new(master_key, salt: ->(id) { Organisation.find_by(id: id)&.key_salt })
  class DerivedKeys
    include Confidential

    # Separates these keys from those of other uses of the same master key.
    PURPOSE = "encrypted_s3_service tenant key 1"
    # Minimum size of a salt, in bytes.
    SALT_SIZE = 16
    private_constant :PURPOSE

    # @param master_key [String] 32 bytes, or `base64:` and their Base64, as for `encryption_key`
    # @param salt [#call, nil] called with a tenant's id (String); returns at least 16 random bytes, or nil when the
    #   tenant's key is destroyed
    # @raise [ConfigurationError] when the master key is not an AES key
    def initialize(master_key, salt: nil)
      key = EncryptionKey.new(master_key)
      # A key that is derived from a public key would be no secret.
      raise ConfigurationError, "The master key of tenants must be an AES key of 32 bytes" unless key.kind == "aes"

      @master = key.bytes
      @salt = salt
    end

    # @param id [String] the tenant's
    # @return [String, nil] 32 bytes; nil when the key is destroyed
    # @raise [ConfigurationError] when the salt has fewer than 16 bytes
    def call(id)
      salt = @salt ? @salt.call(id) : ""
      return if salt.nil?
      if @salt && salt.bytesize < SALT_SIZE
        raise ConfigurationError, "The salt of tenant #{id} has #{salt.bytesize} bytes; it needs at least #{SALT_SIZE}"
      end

      OpenSSL::KDF.hkdf(@master, salt: salt, info: "#{PURPOSE}:#{id}", length: 32, hash: "SHA256")
    end

    private

    def public_attributes = { salt: !@salt.nil? }
  end
end
