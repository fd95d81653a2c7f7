# frozen_string_literal: true

require "securerandom"
require_relative "../client"

module EncryptedS3Service
  # A client whose key is destroyed: its objects can be listed and deleted, and that is all.
  # @api private
  class KeylessClient < Client
    # @param name [String] of the service, for messages
    # @param options [Hash{Symbol => Object}] see {Configuration#initialize}, without a key
    # @raise [ConfigurationError]
    def initialize(name, **options)
      # Never used; a client without any would not be complete.
      super(**options.except(:encryption_key_passphrase), encryption_key: SecureRandom.bytes(32))
      @name = name
    end

    %i[upload download reader download_file download_chunk compose rotate reencrypt].each do |operation|
      # @raise [KeyDestroyedError] always
      define_method(operation) do |*|
        raise KeyDestroyedError, "the key of #{@name} is destroyed: its files cannot be read any more, nor new ones " \
                                 "stored; they can be deleted"
      end
    end
  end
end
