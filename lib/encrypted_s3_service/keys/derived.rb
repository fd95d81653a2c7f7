# frozen_string_literal: true

require "openssl"
require_relative "../configuration/confidential"
require_relative "encryption_key"

module EncryptedS3Service
  # Tenants' keys that need no table: each is derived from one master key and the tenant's id (HKDF with SHA-256, RFC
  # 5869). The master key is enough to derive all of them. To destroy one tenant's key, derive it with a salt as well,
  # and keep the tenant's salt in the database and nowhere else:
  #
  #     EncryptedS3Service::DerivedKeys.new(master_key, salt: ->(id) { Organisation.find_by(id: id)&.key_salt })
  class DerivedKeys
    include Confidential

    # Separates these keys from those of other uses of the same master key.
    PURPOSE = "encrypted_s3_service tenant key 1"
    # Minimum bytes of a salt.
    SALT_SIZE = 16
    private_constant :PURPOSE

    # @param master_key [String] as `encryption_key` has it
    # @param salt [#call, nil] given a tenant's id (String); returns at least 16 random bytes, or nil when the tenant's
    #   key is destroyed
    # @raise [ConfigurationError] when the master key is not an AES key
    def initialize(master_key, salt: nil)
      key = EncryptionKey.new(master_key)
      # A key derived from a public key is no secret.
      raise ConfigurationError, "the tenants' master key must have 32 bytes, not be of RSA" unless key.kind == "aes"

      @master = key.bytes
      @salt = salt
    end

    # @param id [String] the tenant's
    # @return [String, nil] 32 bytes; nil when the key is destroyed
    # @raise [ConfigurationError] when the salt is too short and could be guessed
    def call(id)
      salt = @salt ? @salt.call(id) : ""
      return if salt.nil?
      if @salt && salt.bytesize < SALT_SIZE
        raise ConfigurationError, "the salt of tenant #{id} has #{salt.bytesize} bytes; it needs #{SALT_SIZE} or more"
      end

      OpenSSL::KDF.hkdf(@master, salt: salt, info: "#{PURPOSE}:#{id}", length: 32, hash: "SHA256")
    end

    private

    def public_attributes = { salt: !@salt.nil? }
  end
end
