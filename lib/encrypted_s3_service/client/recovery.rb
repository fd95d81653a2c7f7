# frozen_string_literal: true

require_relative "../client"

module EncryptedS3Service
  # A client that reads objects with a private recovery key alone (`recovery_keys`, docs/format.md, 7). It can also list
  # and delete, but not write.
  #
  # @example
  #   key = EncryptedS3Service::RecoveryClient.read_key("recovery.pem", passphrase: "…")
  #   client = EncryptedS3Service::RecoveryClient.new(key, bucket: "files", region: "eu-central-1")
  #   client.download("reports/1")
  class RecoveryClient < Client
    # Reads a private recovery key.
    # @param path [String] of a file in PEM
    # @param passphrase [String, nil] of an encrypted key
    # @return [String] its DER (PKCS#8)
    # @raise [ConfigurationError] when it is not a private RSA key
    def self.read_key(path, passphrase: nil)
      text = KeySource.resolve("#{KeySource::PREFIX}#{path}", "the recovery key")
      raise ConfigurationError, "the recovery key must be a private RSA key in PEM" unless RsaKey.looks_like?(text)

      key = RsaKey.new(text, passphrase: passphrase, setting: "the recovery key",
                             passphrase_setting: "ENCRYPTION_KEY_PASSPHRASE")
      return key.der if key.private?

      raise ConfigurationError, "the recovery key is a public key, which opens nothing: give the private key"
    end

    # @param recovery_key [String] DER (PKCS#8) of a private recovery key, from {.read_key}
    # @param configuration [Configuration, nil] used instead of options; its keys are not used
    # @param options [Hash{Symbol => Object}] see {Configuration#initialize}, without a key
    # @raise [ConfigurationError]
    def initialize(recovery_key, configuration = nil, **options)
      @recovery_key = recovery_key
      configuration ||= Configuration.new(**options, encryption_key: EncryptionKey.generate)
      super(configuration)
    end

    %i[upload compose rotate rebind reencrypt index].each do |operation|
      # @raise [UnsupportedOperationError] always
      define_method(operation) do |*|
        raise UnsupportedOperationError, "A client with a recovery key can only read, list and delete."
      end
    end

    private

    def build_native = Native::Client.new(configuration.to_native_without_keys(recovery_key: @recovery_key))
  end
end
