# frozen_string_literal: true

module EncryptedS3Service
  module DirectUploads
    # Included in ActionView::Base. File fields for direct uploads go where the files of their attribute go:
    #
    #     form.file_field :contract_pdf, direct_upload: true
    #     form.file_field :file, direct_upload: { service: :encrypted_amazon }
    #     file_field_tag :file, direct_upload: { service: :encrypted_amazon, expires_in: 1.hour }
    #
    # With `true` the service is the one that the attribute's `service:` names, otherwise the one that
    # {EncryptedS3Service.with_service} has chosen; with neither Rails' own URL is used, without a token.
    module FormHelper
      # As in Rails, with the options of {DirectUploads.token} and `service:` in `direct_upload:`.
      #
      # @param object_name [String, Symbol]
      # @param method [Symbol]
      # @param options [Hash]
      # @return [ActiveSupport::SafeBuffer]
      # @raise [ConfigurationError] when there is no such service
      def file_field(object_name, method, options = {})
        super(object_name, method, sign_direct_upload(options, options[:object], method))
      end

      # As in Rails, with the options of {DirectUploads.token} and `service:` in `direct_upload:`.
      #
      # @param name [String, Symbol]
      # @param options [Hash]
      # @return [ActiveSupport::SafeBuffer]
      # @raise [ConfigurationError] when there is no such service
      def file_field_tag(name, options = {})
        super(name, sign_direct_upload(options))
      end

      # The URL for what is no file field: `data: { direct_upload_url: … }` of a `rich_text_area`, or own JavaScript.
      #
      # @param service [Symbol, String]
      # @param settings [Hash] see {DirectUploads.token}
      # @return [String]
      # @raise [ConfigurationError] when there is no such service
      def direct_uploads_url_for(service, **settings)
        routes = respond_to?(:rails_direct_uploads_url) ? self : main_app
        routes.rails_direct_uploads_url(service_token: DirectUploads.token(service, **settings))
      end

      private

      def sign_direct_upload(options, record = nil, attribute = nil)
        settings = options[:direct_upload]
        return options unless settings

        settings = settings.is_a?(Hash) ? settings.symbolize_keys : {}
        service = settings.delete(:service) || RequiredService.of(record, attribute)
        service ||= EncryptedS3Service.current_service
        return options unless service

        options.except(:direct_upload).merge("data-direct-upload-url" => direct_uploads_url_for(service, **settings))
      end
    end
  end
end
