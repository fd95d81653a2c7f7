# frozen_string_literal: true

require_relative "address_name"
require_relative "content_type"
require_relative "host"
require_relative "request_place"
require_relative "token"

module EncryptedS3Service
  module Serving
    # The addresses of one service's files. They lead to the application: the store's own would serve ciphertext, and
    # store plaintext.
    class Urls
      # @param service_name [Symbol, String] in storage.yml
      # @param settings [Engine::Settings]
      def initialize(service_name, settings = EncryptedS3Service.settings)
        @service_name = service_name
        @settings = settings
      end

      # @param key [String] of the object
      # @param filename [ActiveStorage::Filename, String]
      # @param content_type [String, nil] what the answer is to say it is
      # @param disposition [Symbol, String, nil] `attachment`, or inline
      # @param expires_in [ActiveSupport::Duration, Numeric, nil] seconds; nil is for ever
      # @return [String] the URL to read it
      # @raise [ArgumentError] when nothing says which host the application has
      def blob(key, filename:, content_type:, disposition:, expires_in:)
        name = ActiveStorage::Filename.wrap(filename)
        payload = { key: key, service_name: @service_name, content_type: content_type,
                    disposition: disposition.to_s == "attachment" ? "attachment" : "inline", filename: name.to_s }
        token = Token.generate(payload, purpose: Token::BLOB, expires_in: lifetime(expires_in, content_type))
        helpers.rails_encrypted_s3_blob_url(token, filename: AddressName.for(name), **Host.options_for(name))
      end

      # @param key [String] of the object
      # @param expected [Hash{Symbol => Object}] `content_type:`, `content_length:` and `checksum:` of what may be sent
      # @param expires_in [ActiveSupport::Duration, Numeric, nil] seconds within which the upload has to begin
      # @return [String] the URL to write it, once or several times, but only with these bytes
      # @raise [ArgumentError] when nothing says which host the application has
      def direct_upload(key, expected, expires_in:)
        payload = { key: key, service_name: @service_name, **expected }
        expires_in += time_to_send(expected[:content_length]) if expires_in
        token = Token.generate(payload, purpose: Token::DIRECT_UPLOAD, expires_in: expires_in)
        helpers.rails_encrypted_s3_direct_upload_url(token, **Host.options_for(key))
      end

      private

      def helpers
        helpers = Rails.application.routes.url_helpers
        return helpers if helpers.respond_to?(:rails_encrypted_s3_blob_url)

        raise ConfigurationError, "The routes of encrypted_s3_service are not drawn, because " \
                                  "config.active_storage.draw_routes is false. Draw those of its config/routes.rb."
      end

      # A film is asked for part by part for as long as somebody watches it. Who asked for a time of their own gets it.
      def lifetime(expires_in, content_type)
        return expires_in unless expires_in == ActiveStorage.service_urls_expire_in && ContentType.media?(content_type)

        [expires_in, @settings.media_urls_expire_in].max
      end

      # Servers that take in the whole body first (nginx, Puma) show the request to the application when it is through.
      # The token has to be good until then, for a file on a slow line.
      def time_to_send(bytes) = bytes.to_i.fdiv(@settings.direct_upload_slowest_rate)
    end
  end
end
