# frozen_string_literal: true

require "openssl"
require_relative "../configuration/confidential"
require_relative "encryption_key"

module EncryptedS3Service
  # Tenants' keys that need no table: each is derived from one master key and the tenant's id (HKDF with SHA-256, RFC
  # 5869). Anybody with the master key can derive all of them. To make the key of one tenant destroyable, derive it with
  # a salt as well, and store the tenant's salt only in the database:
  #
  #     EncryptedS3Service::DerivedKeys.new(master_key, salt: ->(id) { Organisation.find_by(id: id)&.key_salt })
  class DerivedKeys
    include Confidential

    # Separates these keys from those of other uses of the same master key.
    PURPOSE = "encrypted_s3_service tenant key 1"
    # Minimum bytes of a salt.
    SALT_SIZE = 16
    private_constant :PURPOSE

    # @param master_key [String] in the form of `encryption_key`
    # @param salt [#call, nil] given a tenant's id (String); returns at least 16 random bytes, or nil when the tenant's
    #   key is destroyed
    # @raise [ConfigurationError] when the master key is not an AES key
    def initialize(master_key, salt: nil)
      key = EncryptionKey.new(master_key)
      # A key derived from a public key would not be secret.
      raise ConfigurationError, "the master key must be an AES key of 32 bytes, not an RSA key" unless key.kind == "aes"

      @master = key.bytes
      @salt = salt
    end

    # @param id [String] the tenant's id
    # @return [String, nil] 32 bytes; nil when the key is destroyed
    # @raise [ConfigurationError] when the salt is too short and could be guessed
    def call(id)
      salt = @salt ? @salt.call(id) : ""
      return if salt.nil?
      if @salt && salt.bytesize < SALT_SIZE
        raise ConfigurationError, "the salt of tenant #{id} has #{salt.bytesize} bytes; it needs at least #{SALT_SIZE}"
      end

      OpenSSL::KDF.hkdf(@master, salt: salt, info: "#{PURPOSE}:#{id}", length: 32, hash: "SHA256")
    end

    private

    def public_attributes = { salt: !@salt.nil? }
  end
end
