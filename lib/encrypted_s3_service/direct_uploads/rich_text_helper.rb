# frozen_string_literal: true

module EncryptedS3Service
  module DirectUploads
    # Prepended to ActionText::TagHelper, so that files dropped into a rich text go to the service of its embeds:
    #
    #     form.rich_text_area :body
    #     rich_textarea_tag :body, nil, data: { direct_upload_url: direct_uploads_url_for(:encrypted_amazon) }
    #
    # The service is that of the block ({EncryptedS3Service.with_service}) or of the current tenant, unless the
    # application sets one for all texts (`has_many_attached :embeds, service: …` in ActionText::RichText). All helpers
    # and form builders call one of these two methods; Rails 7.1 and 7.2 have only the first.
    # @api private
    module RichTextHelper
      # @param name [String, Symbol]
      # @param value [Object, nil]
      # @param options [Hash]
      # @return [ActiveSupport::SafeBuffer]
      # @raise [ConfigurationError] when the service does not exist
      def rich_text_area_tag(name, value = nil, options = {}, &)
        super(name, value, sign_rich_text(options), &)
      end

      # @param name [String, Symbol]
      # @param value [Object, nil]
      # @param options [Hash]
      # @return [ActiveSupport::SafeBuffer]
      # @raise [ConfigurationError] when the service does not exist
      def rich_textarea_tag(name, value = nil, options = {}, &)
        super(name, value, sign_rich_text(options), &)
      end

      # Adds no method that this version of Rails lacks, because applications test for it with `respond_to?`.
      # @param helper [Module] ActionText::TagHelper
      # @return [Module] a copy of this module with the methods that `helper` has
      def self.for(helper)
        missing = instance_methods(false).reject { |name| helper.method_defined?(name) }
        dup.tap { |copy| missing.each { |name| copy.remove_method(name) } }
      end

      private

      def sign_rich_text(options)
        options = options.symbolize_keys
        data = (options[:data] || {}).symbolize_keys
        return options if data[:direct_upload_url]

        service = DirectUploads.service_for(ActionText::RichText, :embeds)
        url = direct_uploads_url_for(service) if service
        url ? options.merge(data: { **data, direct_upload_url: url }) : options
      end
    end
  end
end
