# frozen_string_literal: true

require "openssl"
require "securerandom"
require_relative "confidential"
require_relative "errors"

module EncryptedS3Service
  # The 256-bit key that wraps every object's own data key, and the name it has in the objects' metadata.
  class EncryptionKey
    include Confidential

    # Bytes in a key.
    SIZE = 32
    # Characters an id may have: it travels in an HTTP header.
    MAXIMUM_ID_SIZE = 128
    # What marks a key as Base64.
    PREFIX = "base64:"
    # How to make one, as error messages say it.
    RECIPE = %q(ruby -rsecurerandom -e 'puts "base64:" + SecureRandom.base64(32)')

    ID_LABEL = "encrypted_s3_service/key-id"
    private_constant :ID_LABEL

    # @return [String] the 32 bytes, binary and frozen
    attr_reader :bytes

    # @return [String, nil] what is written into the material description of every object; nil writes `{}`
    attr_reader :id

    # @return [String] a fresh key as a configuration takes it: `base64:` and the Base64 of 32 random bytes
    def self.generate = "#{PREFIX}#{SecureRandom.base64(SIZE)}"

    # @param value [Object] what a configuration has for a key
    # @return [Boolean] whether there is no key in it; `base64:` with nothing behind it is what a template leaves of a
    #   secret that is not there
    def self.blank?(value)
      value.nil? || (value.is_a?(String) && ["", PREFIX].include?(value.b.strip))
    end

    # @param value [String] `base64:` and the strict Base64 of 32 bytes, or the 32 bytes themselves
    # @param id [String, nil] printable ASCII of at most 128 characters; nil derives one from the key, `""` means none
    # @raise [ConfigurationError] when either is not that; the message never quotes the key
    def initialize(value, id: nil)
      @bytes = decode(value).freeze
      @id = (id ? check_id(id) : derive_id)&.freeze
      freeze
    end

    private

    def public_attributes = { id: @id, key: :redacted }

    def decode(value)
      refuse "must be a String (quote it in YAML), not #{value.class}" unless value.is_a?(String)
      text = value.b
      bytes = text.start_with?(PREFIX) ? decode_base64(text.delete_prefix(PREFIX)) : text
      return bytes if bytes.bytesize == SIZE

      refuse "must be exactly #{SIZE} bytes, #{hint(text, bytes)}. Make one with: #{RECIPE}"
    end

    def decode_base64(text)
      text.unpack1("m0")
    rescue ArgumentError
      refuse "is not strict Base64 after `#{PREFIX}`. Make one with: #{RECIPE}"
    end

    def hint(text, bytes)
      case text
      when %r{\A[A-Za-z0-9+/]{43}=\z} then "and looks like Base64 without its mark: put `#{PREFIX}` before it"
      when /\A\h{64}\z/ then "and looks like 64 hexadecimal digits: write the same bytes as `#{PREFIX}` and Base64"
      else "not #{bytes.bytesize}"
      end
    end

    # The same in every process without any setting, and of no use for finding the key.
    def derive_id = OpenSSL::HMAC.hexdigest("SHA256", @bytes, ID_LABEL)[0, 16]

    def check_id(id)
      return if id == ""
      return id.dup if id.is_a?(String) && id.bytesize <= MAXIMUM_ID_SIZE && id.b.match?(/\A[ -~]+\z/n)

      raise ConfigurationError, "encryption_key_id must be printable ASCII of at most #{MAXIMUM_ID_SIZE} characters"
    end

    def refuse(problem)
      raise ConfigurationError, "encryption_key #{problem}"
    end
  end
end
