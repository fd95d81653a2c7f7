# frozen_string_literal: true

module EncryptedS3Service
  module DirectUploads
    # Included in ActionView::Base. Direct uploads of a file field go to the service of its attribute:
    #
    #     form.file_field :contract_pdf, direct_upload: true
    #     form.file_field :file, direct_upload: { service: :encrypted_amazon }
    #     file_field_tag :file, direct_upload: { service: :encrypted_amazon, expires_in: 1.hour }
    #
    # With `true` the service is the attribute's `service:`, otherwise that of the block
    # ({EncryptedS3Service.with_service}) or of the current tenant. With none of these, the field has Rails' own URL
    # without a token, or a token for the default service if `config.encrypted_s3_service.direct_uploads` is `:token`.
    module FormHelper
      # As in Rails; `direct_upload:` also accepts a Hash with `service:` and the options of {DirectUploads.token}.
      #
      # @param object_name [String, Symbol]
      # @param method [Symbol]
      # @param options [Hash]
      # @return [ActiveSupport::SafeBuffer]
      # @raise [ConfigurationError] when the service does not exist
      def file_field(object_name, method, options = {})
        record = options[:direct_upload] && record_of_field(object_name, options)
        super(object_name, method, sign_direct_upload(options, record, method))
      end

      # As in Rails; `direct_upload:` also accepts a Hash with `service:` and the options of {DirectUploads.token}.
      #
      # @param name [String, Symbol]
      # @param options [Hash]
      # @return [ActiveSupport::SafeBuffer]
      # @raise [ConfigurationError] when the service does not exist
      def file_field_tag(name, options = {})
        super(name, sign_direct_upload(options))
      end

      # URL for direct uploads without a file field, for example by the application's own JavaScript.
      #
      # @param service [Symbol, String]
      # @param settings [Hash] see {DirectUploads.token}
      # @return [String, nil] nil when Active Storage has no routes (`config.active_storage.draw_routes`)
      # @raise [ConfigurationError] when the service does not exist
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
        # Rails adds options of its own (`data_checksum_algorithm` from 8.2 on).
        options = convert_direct_upload_option_to_url({ **options, direct_upload: true })
        options.merge({ "data-direct-upload-url" => url }.compact)
      end

      # Finds the record of a field as ActionView::Helpers::Tags::Base does (`retrieve_object`).
      def record_of_field(object_name, options)
        return options[:object] if options[:object]

        name = "@#{object_name.to_s.sub(/\[\](\])?\z/, "\\1")}"
        instance_variable_get(name) if name.match?(/\A@[a-z_]\w*\z/i)
      end
    end
  end
end
