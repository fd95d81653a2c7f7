# frozen_string_literal: true

module EncryptedS3Service
  module DirectUploads
    # Prepended to ActionText::TagHelper, so that pictures which are put into a text go where its files go:
    #
    #     form.rich_text_area :body
    #     rich_textarea_tag :body, nil, data: { direct_upload_url: direct_uploads_url_for(:encrypted_amazon) }
    #
    # The service is the one of the block ({EncryptedS3Service.with_service}) or of the current tenant, unless the
    # application has one for all texts (`has_many_attached :embeds, service: …` in ActionText::RichText). All helpers
    # and form builders come through these two methods, of which Rails 7.1 and 7.2 have the first one.
    # @api private
    module RichTextHelper
      # @param name [String, Symbol]
      # @param value [Object, nil]
      # @param options [Hash]
      # @return [ActiveSupport::SafeBuffer]
      # @raise [ConfigurationError] when there is no such service
      def rich_text_area_tag(name, value = nil, options = {}, &)
        super(name, value, sign_rich_text(options), &)
      end

      # @param name [String, Symbol]
      # @param value [Object, nil]
      # @param options [Hash]
      # @return [ActiveSupport::SafeBuffer]
      # @raise [ConfigurationError] when there is no such service
      def rich_textarea_tag(name, value = nil, options = {}, &)
        super(name, value, sign_rich_text(options), &)
      end

      # Applications ask whether there is such a helper.
      # @param helper [Module] ActionText::TagHelper
      # @return [Module] what has those methods that this version of Rails has
      def self.for(helper)
        missing = instance_methods(false).reject { |name| helper.method_defined?(name) }
        dup.tap { |copy| missing.each { |name| copy.remove_method(name) } }
      end

      private

      def sign_rich_text(options)
        options = options.symbolize_keys
        data = (options[:data] || {}).symbolize_keys
        return options if data[:direct_upload_url]

        service = DirectUploads.service_for(ActionText::RichText.new, :embeds)
        url = direct_uploads_url_for(service) if service
        url ? options.merge(data: { **data, direct_upload_url: url }) : options
      end
    end
  end
end
