# frozen_string_literal: true

require_relative "token"

module EncryptedS3Service
  module Serving
    # The addresses of one service's files. They lead to the application: the store's own would serve ciphertext, and
    # store plaintext.
    class Urls
      # @param service_name [Symbol, String] in storage.yml
      def initialize(service_name)
        @service_name = service_name
      end

      # @param key [String] of the object
      # @param filename [ActiveStorage::Filename, String]
      # @param content_type [String, nil] what the answer is to say it is
      # @param disposition [String] the answer's Content-Disposition
      # @param expires_in [ActiveSupport::Duration, Integer, nil] seconds; nil is for ever
      # @return [String] the URL to read it
      # @raise [ArgumentError] when nothing says which host the application has
      def blob(key, filename:, content_type:, disposition:, expires_in:)
        payload = { key: key, service_name: @service_name, content_type: content_type, disposition: disposition }
        token = Token.generate(payload, purpose: Token::BLOB, expires_in: expires_in)
        helpers.rails_encrypted_s3_blob_url(token, filename: filename, **url_options(filename))
      end

      # @param key [String] of the object
      # @param expected [Hash{Symbol => Object}] `content_type:`, `content_length:` and `checksum:` of what may be sent
      # @param expires_in [ActiveSupport::Duration, Integer, nil] seconds
      # @return [String] the URL to write it, once or several times, but only with these bytes
      # @raise [ArgumentError] when nothing says which host the application has
      def direct_upload(key, expected, expires_in:)
        payload = { key: key, service_name: @service_name, **expected }
        token = Token.generate(payload, purpose: Token::DIRECT_UPLOAD, expires_in: expires_in)
        helpers.rails_encrypted_s3_direct_upload_url(token, **url_options(key))
      end

      private

      def helpers
        helpers = Rails.application.routes.url_helpers
        return helpers if helpers.respond_to?(:rails_encrypted_s3_blob_url)

        raise ConfigurationError, "The routes of encrypted_s3_service are not drawn, because " \
                                  "config.active_storage.draw_routes is false. Draw those of its config/routes.rb."
      end

      def url_options(what)
        options = ActiveStorage::Current.url_options
        return options if options.present?
        return {} if Rails.application.routes.default_url_options[:host].present?

        raise ArgumentError, "Cannot make a URL for #{what} without a host: set ActiveStorage::Current.url_options, " \
                             "or include ActiveStorage::SetCurrent in the controller"
      end
    end
  end
end
