# frozen_string_literal: true

module EncryptedS3Service
  # Included in ActionText::RichText. Images and files in a text are existing blobs, named in the text and attached from
  # there (`embeds`), until Rails 8.0 only after the validations. So they are validated here, and if they are copied
  # ({BlobCopy}), the text is changed to name the copies.
  # @api private
  module RichTextEmbeds
    extend ActiveSupport::Concern

    included do
      validate :refuse_embeds_elsewhere
      before_save :adopt_embeds_elsewhere, prepend: true
    end

    # One copy per blob, even if it is attached several times.
    # @return [Hash{Integer => BlobCopy}] copies by the id of the original
    def encrypted_s3_copies = @encrypted_s3_copies ||= {}

    private

    def refuse_embeds_elsewhere
      return if errors.include?(:embeds) || BlobCopy.wanted?(self, :embeds)

      AttachmentValidator.new(attributes: [:embeds]).refuse(self, :embeds, embeds_elsewhere)
    end

    def adopt_embeds_elsewhere
      return unless BlobCopy.wanted?(self, :embeds)

      copies = embeds_elsewhere.to_h { |blob| [blob, BlobCopy.for(self, :embeds, blob)] }.compact
      return if copies.empty?

      copies.each_value do |copy|
        copy.store
        copy.blob.save!
      end
      self.body = with_copies(copies)
    end

    # @return [Array<ActiveStorage::Blob>] new blobs that are not on the required service
    def embeds_elsewhere
      demanded = RequiredService.demanded(self, :embeds)
      return [] if demanded.nil? || body.blank?

      elsewhere = body.attachables.grep(ActiveStorage::Blob).uniq.reject { |blob| blob.service_name == demanded.to_s }
      elsewhere.reject { |blob| BlobCopy.attached?(self, :embeds, blob) }
    end

    def with_copies(copies)
      fragment = body.fragment.update do |source|
        source.css(ActionText::Attachment.tag_name).each do |node|
          blob = ActionText::Attachable.from_node(node)
          name_copy(node, blob, copies[blob].blob) if copies.key?(blob)
        end
      end
      ActionText::Content.new(fragment, canonicalize: false)
    end

    def name_copy(node, blob, copy)
      node["sgid"] = copy.attachable_sgid
      # The URL for the editor contains the signed id of the original.
      node["url"] &&= node["url"].gsub(%r{[^/?]+}) do |part|
        ActiveStorage::Blob.find_signed(part) == blob ? copy.signed_id : part
      end
    end
  end
end
