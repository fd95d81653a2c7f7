# frozen_string_literal: true

require "openssl"
require_relative "../configuration/confidential"
require_relative "../errors"
require_relative "../keys/source"

module EncryptedS3Service
  # Signs reports and checks their signatures: Ed25519 (RFC 8032), 64 bytes in a file beside the report, so
  # that `openssl` checks them as well (docs/custody.md).
  class ReportSignature
    include Confidential

    # The suffix of a signature's file name.
    SUFFIX = ".sig"
    # How to make a key, for error messages.
    RECIPE = "openssl genpkey -algorithm ed25519 -out report-key.pem"
    ALGORITHM = "ED25519"
    private_constant :ALGORITHM

    # @param key [String] an Ed25519 key in PEM, or `file:` and the path of one; the private key signs, the public one
    #   verifies
    # @param passphrase [String, nil] of an encrypted PEM
    # @param setting [String] the name of the key in messages
    # @raise [ConfigurationError] when it is not such a key
    def initialize(key, passphrase: nil, setting: "report_signing_key")
      text = KeySource.resolve(key, setting)
      @key = OpenSSL::PKey.read(text, passphrase || "")
      raise ConfigurationError, "#{setting} must be an Ed25519 key in PEM. Make one with: #{RECIPE}" unless ed25519?
    rescue OpenSSL::PKey::PKeyError, ArgumentError, TypeError
      raise ConfigurationError, "#{setting} is not a readable key in PEM, or is encrypted and its passphrase is " \
                                "missing or wrong. Make one with: #{RECIPE}"
    end

    # @return [String] 64 hexadecimal digits, the SHA-256 of the public key (`SubjectPublicKeyInfo`)
    def fingerprint = OpenSSL::Digest.hexdigest("SHA256", @key.public_to_der)

    # @return [String] the public key in PEM, to verify reports with
    def public_key = @key.public_to_pem

    # @param data [String]
    # @return [String] 64 bytes, binary
    # @raise [ConfigurationError] when it is a public key
    def sign(data)
      @key.sign(nil, data)
    rescue OpenSSL::PKey::PKeyError
      raise ConfigurationError, "a report must be signed with a private key, but this key is public"
    end

    # @param data [String]
    # @param signature [String] 64 bytes
    # @return [Boolean] whether the private half of this key made the signature, for exactly this data
    def valid?(data, signature)
      @key.verify(nil, signature, data)
    rescue OpenSSL::PKey::PKeyError
      false
    end

    private

    def public_attributes = { fingerprint: fingerprint }

    def ed25519? = @key.respond_to?(:oid) && @key.oid == ALGORITHM
  end
end
