# frozen_string_literal: true

require_relative "../errors"

module EncryptedS3Service
  # A reference to a key that a custodian keeps. It replaces the key in the configuration and is not secret: only the
  # custodian can turn it into the key.
  #
  #     openbao:TRANSIT_KEY:CIPHERTEXT#KEY_ID       of OpenBao or Vault, as `encrypted_s3_service wrap-key` prints it
  #     custodian:ANYTHING#KEY_ID                   of any other custodian
  #
  # `#KEY_ID` is the id that is derived from the key itself (see {EncryptionKey.id_of}). It becomes the key id of the
  # objects unless the configuration names another one, and a custodian that returns another key is refused.
  # @api private
  class KeyReference
    # How references begin.
    SCHEMES = %w[openbao: custodian:].freeze

    FORM = /\A(?<text>[!-~]{1,4096}?)(?:#(?<id>\h{16}))?\z/
    OPENBAO = %r{\Aopenbao:(?<key>\w(?:[\w.-]*\w)?):(?<ciphertext>[a-z]+:v\d+:[A-Za-z0-9+/]+=*)\z}
    private_constant :FORM, :OPENBAO

    # @return [String] the text for the custodian: the reference without `#KEY_ID`
    attr_reader :text

    # @return [String, nil] the id that is derived from the key; nil when the reference does not contain it
    attr_reader :key_id

    # @param value [Object] the value of a setting for a key
    # @return [Boolean] whether it is a reference, valid or not
    def self.reference?(value)
      value.is_a?(String) && value.b.lstrip.start_with?(*SCHEMES)
    end

    # Splits the text of a reference of OpenBao.
    # @param text [String] without `#KEY_ID`
    # @return [Array(String, String), nil] the name of the transit key and the ciphertext
    def self.openbao(text)
      match = OPENBAO.match(text) and [match[:key], match[:ciphertext]]
    end

    # @param value [String]
    # @param setting [String] the name of the setting, for messages
    # @raise [ConfigurationError] when the reference is not valid
    def initialize(value, setting)
      match = FORM.match(value.strip)
      raise ConfigurationError, "#{setting} is not a valid reference to a key: #{hint(value)}" unless match

      @text = match[:text].freeze
      @key_id = match[:id]&.downcase&.freeze
      check_openbao(setting) if openbao?
      freeze
    end

    # @return [String] the key's name in messages
    def name
      key, = self.class.openbao(@text)
      return "`#{key}`" if key

      @key_id ? "with the id #{@key_id}" : "`#{@text[0, 60]}#{"…" if @text.size > 60}`"
    end

    private

    def openbao? = @text.start_with?("openbao:")

    def check_openbao(setting)
      return if self.class.openbao(@text)

      raise ConfigurationError, "#{setting} must have the form openbao:TRANSIT_KEY:vault:v1:…#KEY_ID. Make one with: " \
                                "encrypted_s3_service wrap-key TRANSIT_KEY"
    end

    def hint(value) = value.strip.match?(/[^!-~]/) ? "it must be printable ASCII without spaces" : "it is too long"
  end
end
