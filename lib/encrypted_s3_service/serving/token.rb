# frozen_string_literal: true

module EncryptedS3Service
  # What answers the gem's own addresses in a Rails application.
  module Serving
    # What an address carries: what may be done with which object, signed by the application and for one purpose each,
    # so that a token is of no use for anything else (ActiveStorage::DiskController, for one, would take the purposes of
    # the Disk service for any service).
    module Token
      # Reading an object.
      BLOB = :encrypted_s3_blob
      # Writing one.
      DIRECT_UPLOAD = :encrypted_s3_direct_upload

      module_function

      # @param payload [Hash{Symbol => Object}] of what JSON can hold
      # @param purpose [Symbol] one of this module's constants
      # @param expires_in [ActiveSupport::Duration, Integer, nil] seconds; nil is for ever
      # @return [String] fit for a path
      def generate(payload, purpose:, expires_in:)
        # The verifier tells nobody when a token ends, and caches must not keep an answer for longer.
        payload = payload.merge(expires_at: Time.now.to_i + expires_in.to_i) if expires_in
        ActiveStorage.verifier.generate(payload, purpose: purpose, expires_in: expires_in)
      end

      # @param token [String, nil]
      # @param purpose [Symbol]
      # @return [Hash{Symbol => Object}, nil] what it was made of; nil if it is not valid, or not any more
      def verify(token, purpose:)
        ActiveStorage.verifier.verified(token, purpose: purpose)&.deep_symbolize_keys
      end
    end
  end
end
