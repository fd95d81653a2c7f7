# frozen_string_literal: true

require "openssl"
require "securerandom"
require_relative "../configuration/confidential"
require_relative "../errors"
require_relative "reference"
require_relative "source"
require_relative "rsa_key"

module EncryptedS3Service
  # A key that wraps the data keys of objects, and its name in the objects' metadata: 256 bits for AES, or an RSA key,
  # whose public half writes and whose private half also reads.
  class EncryptionKey
    include Confidential

    # Bytes in an AES key that writes.
    SIZE = 32
    # Bytes in an AES key that reads objects of other clients.
    READING_SIZES = [16, 24, 32].freeze
    # Maximum characters of an id, which is sent in an HTTP header.
    MAXIMUM_ID_SIZE = 128
    # The prefix of a Base64 key.
    PREFIX = "base64:"
    # How to make a key, for error messages.
    RECIPE = %q(ruby -rsecurerandom -e 'puts "base64:" + SecureRandom.base64(32)')

    ID_LABEL = "encrypted_s3_service/key-id"
    private_constant :ID_LABEL

    # @return [String] binary and frozen: the bytes of an AES key, the DER of an RSA key
    attr_reader :bytes

    # @return [String] `"aes"`, `"rsa_private"` or `"rsa_public"`
    attr_reader :kind

    # @return [String, nil] the id in the material description of every object; nil writes `{}`
    attr_reader :id

    # @return [String] the id that is derived from the key
    # @api private
    attr_reader :fingerprint

    # @return [String] a new key in the form of a setting: `base64:` and the Base64 of 32 random bytes
    def self.generate = "#{PREFIX}#{SecureRandom.base64(SIZE)}"

    # @param value [Object] the value of a setting for a key
    # @return [Boolean] whether it contains no key; a template with a missing secret results in `base64:` alone
    def self.blank?(value)
      empty = ["", PREFIX, KeySource::PREFIX, *KeyReference::SCHEMES]
      value.nil? || (value.is_a?(String) && empty.include?(value.b.strip))
    end

    # The id that is derived from an AES key: the same in every process without any setting. It does not reveal the key.
    # @param bytes [String]
    # @return [String] 16 hexadecimal digits
    def self.id_of(bytes) = OpenSSL::HMAC.hexdigest("SHA256", bytes, ID_LABEL)[0, 16]

    # @param id [Object]
    # @param setting [String] the name of the key in messages
    # @return [void]
    # @raise [ConfigurationError] unless it is `""` or can be stored with every object
    # @api private
    def self.check_id(id, setting)
      return if id == ""
      return if id.is_a?(String) && id.bytesize <= MAXIMUM_ID_SIZE && id.b.match?(/\A[ -~]+\z/n)

      name = setting.include?(".") ? "the id of #{setting}" : "#{setting}_id"
      raise ConfigurationError, "#{name} must be printable ASCII of at most #{MAXIMUM_ID_SIZE} characters"
    end

    # @param value [String, Pathname, OpenSSL::PKey::RSA] `base64:` and the strict Base64 of 32 bytes; the 32 bytes
    #   themselves; an RSA key in PEM, public or private, of 2,048 to 4,096 bits; `file:` and the path of a file that
    #   holds one of these
    # @param id [String, nil] printable ASCII of at most 128 characters; nil derives one from the key, `""` means none
    # @param passphrase [String, nil] of an encrypted PEM
    # @param setting [String] the name of the key in messages
    # @param sizes [Array<Integer>] bytes that an AES key may have
    # @raise [ConfigurationError] when an argument is invalid; the message never quotes the key
    def initialize(value, id: nil, passphrase: nil, setting: "encryption_key", sizes: [SIZE])
      @setting = setting
      @sizes = sizes
      text = KeySource.resolve(value, setting)
      refuse "cannot be a reference to a key here: give the key" if KeyReference.reference?(text)
      read(text, passphrase)
      refuse_key_as_id(id, text)
      @id = (id ? check_id(id) : @fingerprint)&.freeze
      freeze
    end

    # @return [Boolean] whether objects written under it can be read with it
    def reads? = @kind != "rsa_public"

    # @return [Boolean] false
    # @api private
    def custodied? = false

    # @return [Hash{Symbol => Object}] the key for the native client, including the secret
    # @api private
    def to_native = { id: @id, kind: @kind, key: @bytes }

    private

    def public_attributes = { id: @id, key: :redacted }

    def read(value, passphrase)
      return read_rsa(value, passphrase) if RsaKey.looks_like?(value)
      raise ConfigurationError, "#{passphrase_setting} is for an encrypted RSA key in PEM only" if passphrase

      @kind = "aes"
      @bytes = decode(value).freeze
      @fingerprint = EncryptionKey.id_of(@bytes)
    end

    def read_rsa(value, passphrase)
      key = RsaKey.new(value, passphrase: passphrase, setting: @setting, passphrase_setting: passphrase_setting)
      @kind = key.private? ? "rsa_private" : "rsa_public"
      @bytes = key.der.freeze
      @fingerprint = key.fingerprint[0, 16]
    end

    # The passphrase of a nested key is nested beside it.
    def passphrase_setting = @setting.include?(".") ? "#{@setting}.passphrase" : "#{@setting}_passphrase"

    def decode(value)
      refuse "must be a String (quote it in YAML), not #{value.class}" unless value.is_a?(String)
      text = value.b
      bytes = text.start_with?(PREFIX) ? decode_base64(text.delete_prefix(PREFIX)) : text
      return bytes if bytes.bytesize == SIZE || (text != bytes && @sizes.include?(bytes.bytesize))

      # A password of this length is more likely than such a key.
      refuse "of #{bytes.bytesize} bytes must be `#{PREFIX}` and its Base64" if @sizes.include?(bytes.bytesize)
      refuse "must be exactly #{size_text} bytes, #{hint(text, bytes)}. Make one with: #{RECIPE}"
    end

    def size_text = @sizes.size > 1 ? "#{@sizes[..-2].join(", ")} or #{@sizes.last}" : @sizes.first

    def decode_base64(text)
      text.unpack1("m0")
    rescue ArgumentError
      refuse "is not strict Base64 after `#{PREFIX}`#{base64_hint(text)}. Make one with: #{RECIPE}"
    end

    # Advice about changes that editors and tools for secrets often make.
    def base64_hint(text)
      case text
      when /\A\s|\s\z/ then ": remove the blanks or line breaks around it"
      when /\s/ then ": remove the blanks or line breaks in it"
      when %r{\A[\w+/-]+={0,2}\z} then ": write + and / for - and _, and pad it with ="
      end
    end

    def hint(text, bytes)
      case text
      when /\A\xEF\xBB\xBF/n then "and begins with a byte order mark: remove it"
      when /\A\s+\S+\s*\z|\A\S+\s+\z/n then "and has blanks or line breaks around it: remove them"
      when %r{\A[\w+/-]{43}=?\z} then "and looks like Base64 without its mark: put `#{PREFIX}` before it"
      when /\A\h{64}\z/ then "and looks like 64 hexadecimal digits: write the same bytes as `#{PREFIX}` and Base64"
      when /\.(pem|key|der)\z/ then "and looks like a path: put `#{KeySource::PREFIX}` before it"
      else "not #{bytes.bytesize}"
      end
    end

    def check_id(id)
      EncryptionKey.check_id(id, @setting)
      id.dup unless id.empty?
    end

    # The id of its key is stored with every object in plaintext.
    def refuse_key_as_id(id, text)
      return unless id.is_a?(String)

      same = [text, @bytes].any? { |key| key.is_a?(String) && key.b == id.b }
      return unless same || id.start_with?(PREFIX, "-----BEGIN")

      raise ConfigurationError, "#{id_setting} must be a name and not a key, because it is stored with every object"
    end

    def id_setting = @setting.include?(".") ? "the id of #{@setting}" : "#{@setting}_id"

    def refuse(problem)
      raise ConfigurationError, "#{@setting} #{problem}"
    end
  end
end
