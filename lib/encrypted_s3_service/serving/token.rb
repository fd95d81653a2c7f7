# frozen_string_literal: true

require "active_support/message_encryptors"
require "json"

module EncryptedS3Service
  # What answers the gem's own addresses in a Rails application.
  module Serving
    # What an address carries: what may be done with which object. It is encrypted (AES-256-GCM) under a key that the
    # application's secret_key_base gives for one purpose, so nobody can read, change or make one, and a token is of no
    # use for anything else. It is made of characters that stand in a path as they are: some servers (Apache) refuse a
    # `%2F`.
    module Token
      # Reading an object.
      BLOB = :encrypted_s3_blob
      # Writing one.
      DIRECT_UPLOAD = :encrypted_s3_direct_upload
      # How each key is used: part of the tokens' format.
      CODEC = { cipher: "aes-256-gcm", serializer: JSON, url_safe: true }.freeze
      private_constant :CODEC

      class << self
        # @param payload [Hash{Symbol => Object}] of what JSON can hold
        # @param purpose [Symbol] one of this module's constants
        # @param expires_in [ActiveSupport::Duration, Numeric, nil] seconds; nil is for ever
        # @return [String] fit for a path
        def generate(payload, purpose:, expires_in:)
          payload = payload.merge(expires_at: (Time.now.to_f + expires_in.to_f).ceil) if expires_in
          encryptors[purpose].encrypt_and_sign(payload)
        end

        # @param token [String, nil]
        # @param purpose [Symbol]
        # @param at [Time] when the request began
        # @return [Hash{Symbol => Object}, nil] what it was made of; nil if it is not valid, or not any more
        def verify(token, purpose:, at: Time.now)
          payload = encryptors[purpose].decrypt_and_verify(token.to_s)
          return unless payload.is_a?(Hash)

          payload = payload.deep_symbolize_keys
          payload unless payload[:expires_at] && payload[:expires_at] <= at.to_f
        rescue ActiveSupport::MessageEncryptor::InvalidMessage
          nil
        end

        # Goes on taking the tokens of a former secret: links of public services are meant to last. Called in an
        # initializer, before the first token.
        #
        # @param secret_key_base [String] the application's former one
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
