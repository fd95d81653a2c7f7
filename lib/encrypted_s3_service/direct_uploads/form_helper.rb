# frozen_string_literal: true

module EncryptedS3Service
  module DirectUploads
    # Included in ActionView::Base. File fields for direct uploads go where the files of their attribute go:
    #
    #     form.file_field :contract_pdf, direct_upload: true
    #     form.file_field :file, direct_upload: { service: :encrypted_amazon }
    #     file_field_tag :file, direct_upload: { service: :encrypted_amazon, expires_in: 1.hour }
    #
    # With `true` the service is the one that the attribute's `service:` names, otherwise the one of the block
    # ({EncryptedS3Service.with_service}) or of the current tenant; with none of them Rails' own URL is used, without a
    # token. Where `config.encrypted_s3_service.direct_uploads` is `:token`, it is the application's default, with one.
    module FormHelper
      # As in Rails, with the options of {DirectUploads.token} and `service:` in `direct_upload:`.
      #
      # @param object_name [String, Symbol]
      # @param method [Symbol]
      # @param options [Hash]
      # @return [ActiveSupport::SafeBuffer]
      # @raise [ConfigurationError] when there is no such service
      def file_field(object_name, method, options = {})
        record = options[:direct_upload] && record_of_field(object_name, options)
        super(object_name, method, sign_direct_upload(options, record, method))
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

      # The URL for what is no file field, such as JavaScript of the application's own.
      #
      # @param service [Symbol, String]
      # @param settings [Hash] see {DirectUploads.token}
      # @return [String, nil] nil where Active Storage has no routes (`config.active_storage.draw_routes`)
      # @raise [ConfigurationError] when there is no such service
      def direct_uploads_url_for(service, **settings)
        token = DirectUploads.token(service, **settings)
        routes = [self, (main_app if respond_to?(:main_app))].compact
        routes.find { |one| one.respond_to?(:rails_direct_uploads_url) }&.rails_direct_uploads_url(service_token: token)
      end

      private

      def sign_direct_upload(options, record = nil, attribute = nil)
        settings = options[:direct_upload]
        return options unless settings

        settings = settings.is_a?(Hash) ? settings.symbolize_keys : {}
        service = settings.delete(:service) || DirectUploads.service_for(record, attribute)
        return options unless service

        url = direct_uploads_url_for(service, **settings)
        options.except(:direct_upload).merge({ "data-direct-upload-url" => url }.compact)
      end

      # As ActionView::Helpers::Tags::Base finds the record of a field (`retrieve_object`).
      def record_of_field(object_name, options)
        return options[:object] if options[:object]

        name = "@#{object_name.to_s.sub(/\[\](\])?\z/, "\\1")}"
        instance_variable_get(name) if name.match?(/\A@[a-z_]\w*\z/i)
      end
    end
  end
end
