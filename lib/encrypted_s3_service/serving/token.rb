# frozen_string_literal: true

require "active_support/message_encryptors"
require "json"

module EncryptedS3Service
  # The gem's own URLs in a Rails application, and the responses to them.
  module Serving
    # The token in a URL permits one operation on one object. It is encrypted (AES-256-GCM) under a key derived from the
    # application's secret_key_base for each purpose, so clients can neither read nor forge it, and a token for one
    # purpose is not valid for another. It contains only characters that need no percent-encoding in a path: some
    # servers (Apache) refuse `%2F`.
    module Token
      # Reading an object.
      BLOB = :encrypted_s3_blob
      # Writing one.
      DIRECT_UPLOAD = :encrypted_s3_direct_upload
      # Cipher and encoding: part of the tokens' format.
      CODEC = { cipher: "aes-256-gcm", serializer: JSON, url_safe: true }.freeze
      private_constant :CODEC

      class << self
        # @param payload [Hash{Symbol => Object}] values that JSON can represent
        # @param purpose [Symbol] one of this module's constants
        # @param expires_in [ActiveSupport::Duration, Numeric, nil] seconds; nil means that it never expires
        # @return [String] safe in a path
        def generate(payload, purpose:, expires_in:)
          payload = payload.merge(expires_at: (Time.now.to_f + expires_in.to_f).ceil) if expires_in
          encryptors[purpose].encrypt_and_sign(payload)
        end

        # @param token [String, nil]
        # @param purpose [Symbol]
        # @param at [Time] when the request began
        # @return [Hash{Symbol => Object}, nil] the payload; nil when the token is not valid or has expired
        def verify(token, purpose:, at: Time.now)
          payload = encryptors[purpose].decrypt_and_verify(token.to_s)
          return unless payload.is_a?(Hash)

          payload = payload.deep_symbolize_keys
          payload unless payload[:expires_at] && payload[:expires_at] <= at.to_f
        # MessageEncryptor lets OpenSSL's ArgumentError pass when the initialization vector has another length.
        rescue ActiveSupport::MessageEncryptor::InvalidMessage, ArgumentError
          nil
        end

        # Accepts the tokens of a former secret, because links of public services are permanent. Call it in an
        # initializer, before the first token is made or verified.
        #
        # @param secret_key_base [String] the application's former secret
        # @return [void]
        def rotate(secret_key_base:)
          encryptors.rotate(**CODEC, secret_key_base: secret_key_base)
        end

        private

        def encryptors
          @encryptors ||= ActiveSupport::MessageEncryptors.new do |salt, secret_length:, secret_key_base: nil|
            application = Rails.application
            application.key_generator(secret_key_base || application.secret_key_base).generate_key(salt, secret_length)
          end.rotate(**CODEC)
        end
      end
    end
  end
end
