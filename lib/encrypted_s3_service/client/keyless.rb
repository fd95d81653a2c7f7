# frozen_string_literal: true

require "securerandom"
require_relative "../client"

module EncryptedS3Service
  # A client whose key is destroyed: its objects can only be listed and deleted.
  # @api private
  class KeylessClient < Client
    # @param name [String] the service's name, for messages
    # @param options [Hash{Symbol => Object}] see {Configuration#initialize}, without a key
    # @raise [ConfigurationError]
    def initialize(name, **options)
      # A random key that is never used, because a client must have one.
      super(**options.except(:encryption_key_passphrase, *Configuration::KMS_NAMES),
            encryption_key: SecureRandom.bytes(32))
      @name = name
    end

    %i[upload download reader download_file download_chunk compose rotate rebind reencrypt index
       open_version].each do |operation|
      # @raise [KeyDestroyedError] always
      define_method(operation) { |*| refuse }
    end

    # @raise [KeyDestroyedError] always
    def refuse
      raise KeyDestroyedError, "The key of #{@name} is destroyed. Its files can be deleted, but neither read " \
                               "nor written."
    end
  end
end
