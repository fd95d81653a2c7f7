# frozen_string_literal: true

require_relative "address_name"
require_relative "content_type"
require_relative "host"
require_relative "request_place"
require_relative "token"

module EncryptedS3Service
  module Serving
    # URLs of one service's files. They lead to the application, because the store's own URLs would serve ciphertext and
    # store plaintext.
    class Urls
      # @param service_name [Symbol, String] the service's name in storage.yml
      # @param settings [Engine::Settings]
      def initialize(service_name, settings = EncryptedS3Service.settings)
        @service_name = service_name
        @settings = settings
      end

      # @param key [String] of the object
      # @param filename [ActiveStorage::Filename, String]
      # @param content_type [String, nil] content type of the response
      # @param disposition [Symbol, String, nil] `attachment`; any other value means `inline`
      # @param expires_in [ActiveSupport::Duration, Numeric, nil] seconds; nil means that it never expires
      # @return [String] the URL to read it
      # @raise [ArgumentError] when no setting names the application's host
      def blob(key, filename:, content_type:, disposition:, expires_in:)
        name = ActiveStorage::Filename.wrap(filename)
        payload = { key: key, service_name: @service_name, content_type: content_type,
                    disposition: disposition.to_s == "attachment" ? "attachment" : "inline", filename: name.to_s }
        token = Token.generate(payload, purpose: Token::BLOB, expires_in: lifetime(expires_in, content_type))
        helpers.rails_encrypted_s3_blob_url(token: token, filename: AddressName.for(name), **Host.options_for(name))
      end

      # @param key [String] of the object
      # @param expected [Hash{Symbol => Object}] `content_type:`, `content_length:` and `checksum:` of the file
      # @param expires_in [ActiveSupport::Duration, Numeric, nil] seconds within which the upload must begin
      # @return [String] the URL to upload this file; it can be used again, but only with the same bytes
      # @raise [ArgumentError] when no setting names the application's host
      def direct_upload(key, expected, expires_in:)
        payload = { key: key, service_name: @service_name, **expected }
        expires_in += time_to_send(expected[:content_length]) if expires_in
        token = Token.generate(payload, purpose: Token::DIRECT_UPLOAD, expires_in: expires_in)
        helpers.rails_encrypted_s3_direct_upload_url(token: token, **Host.options_for(key))
      end

      private

      def helpers
        helpers = Rails.application.routes.url_helpers
        return helpers if helpers.respond_to?(:rails_encrypted_s3_blob_url)

        raise ConfigurationError, "The routes of encrypted_s3_service are not drawn because " \
                                  "config.active_storage.draw_routes is false. Draw the routes of the gem's " \
                                  "config/routes.rb in the application."
      end

      # A player requests a video in parts for as long as it plays. An explicit `expires_in` is not extended, even if it
      # equals the default, so the default is recognized as the object that Active Storage passes.
      def lifetime(expires_in, content_type)
        default = expires_in.equal?(ActiveStorage.service_urls_expire_in)
        return expires_in unless default && ContentType.media?(content_type)

        [expires_in, @settings.media_urls_expire_in].max
      end

      # Servers that buffer the body (nginx, Puma) pass the request to the application only when it is complete. The
      # token must still be valid then, even for a file on a slow line.
      def time_to_send(bytes) = bytes.to_i.fdiv(@settings.direct_upload_slowest_rate)
    end
  end
end
