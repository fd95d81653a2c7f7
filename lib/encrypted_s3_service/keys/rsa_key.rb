# frozen_string_literal: true

require "openssl"
require_relative "../errors"

module EncryptedS3Service
  # Reads an RSA key from a configuration: PEM, encrypted or not, or a key object of Ruby's OpenSSL, which
  # `Aws::S3::EncryptionV2::Client` also accepts. Messages name the setting and never quote the key or its passphrase.
  class RsaKey
    # Bits of the modulus: fewer are breakable, and a data key wrapped with more does not fit into S3's metadata.
    BITS = (2048..4096)

    LABEL = /-----BEGIN ([A-Z0-9 ]+)-----/
    FOREIGN = {
      "CERTIFICATE" => "is a certificate; give the public key in it: openssl x509 -in FILE -noout -pubkey",
      "CERTIFICATE REQUEST" => "is a certificate request, not an RSA key",
      "OPENSSH PRIVATE KEY" => "is in OpenSSH's own format; convert it: ssh-keygen -p -m PKCS8 -f FILE"
    }.freeze
    # The beginning of an encrypted PEM: PKCS#8, and the older form of OpenSSL.
    ENCRYPTED = /^-----BEGIN ENCRYPTED|^Proc-Type: 4,ENCRYPTED/
    private_constant :LABEL, :FOREIGN, :ENCRYPTED

    # @param value [Object] the value of a setting for a key
    # @return [Boolean] whether it is a key for this class, valid or not
    def self.looks_like?(value)
      value.is_a?(OpenSSL::PKey::PKey) || (value.is_a?(String) && value.b.match?(LABEL))
    end

    # @param value [Object] the value of a setting for a key
    # @return [Boolean] whether it is a PEM that needs a passphrase
    def self.encrypted?(value) = value.is_a?(String) && pem_of(value).match?(ENCRYPTED)

    # Environment variables often hold a PEM in one line.
    # @param text [String]
    # @return [String] binary
    def self.pem_of(text) = text.b.gsub('\n', "\n")

    # @param value [String, OpenSSL::PKey::PKey]
    # @param passphrase [String, nil] of an encrypted PEM
    # @param setting [String] the name of the setting, for messages
    # @param passphrase_setting [String]
    # @raise [ConfigurationError] when it is not an RSA key of 2,048 to 4,096 bits, or the passphrase is wrong
    def initialize(value, passphrase:, setting:, passphrase_setting:)
      @setting = setting
      @passphrase_setting = passphrase_setting
      @key = value.is_a?(String) ? read(value, passphrase) : value
      check
    end

    # @return [Boolean] whether it can also read
    def private? = @key.private?

    # @return [String] binary DER: PKCS#8 of a private key, `SubjectPublicKeyInfo` of a public one
    def der = private? ? @key.private_to_der : @key.public_to_der

    # @return [Integer] bits of the modulus
    def bits = @key.n.num_bits

    # @return [String] equal for the private and the public key; not secret
    def fingerprint = OpenSSL::Digest.hexdigest("SHA256", @key.public_to_der)

    private

    def read(text, passphrase)
      pem = RsaKey.pem_of(text)
      labels = pem.scan(LABEL).flatten
      refuse "must hold one key, not #{labels.size} PEM blocks" if labels.size > 1
      refuse FOREIGN[labels.first] if FOREIGN.key?(labels.first)
      encrypted = RsaKey.encrypted?(text)
      check_passphrase(encrypted, passphrase)
      # Without a passphrase OpenSSL would prompt for one on the terminal.
      OpenSSL::PKey.read(pem, passphrase || "")
    rescue OpenSSL::PKey::PKeyError
      refuse encrypted ? "cannot be decrypted: is #{@passphrase_setting} right?" : "is not a readable key in PEM"
    end

    def check_passphrase(encrypted, passphrase)
      refuse "is encrypted, but #{@passphrase_setting} is missing" if encrypted && passphrase.nil?
      return if encrypted || passphrase.nil?

      raise ConfigurationError, "#{@passphrase_setting} is given, but #{@setting} is not encrypted"
    end

    def check
      unless @key.is_a?(OpenSSL::PKey::RSA)
        refuse "must be an RSA key, not #{@key.class.name.delete_prefix("OpenSSL::PKey::")}"
      end
      bits = @key.n.num_bits
      refuse "must have #{BITS.begin} to #{BITS.end} bits, not #{bits}" unless BITS.cover?(bits)
    end

    def refuse(problem)
      raise ConfigurationError, "#{@setting} #{problem}"
    end
  end
end
