# frozen_string_literal: true

module EncryptedS3Service
  # Refuses a file that lives elsewhere than its attribute demands: a direct upload whose client left the token away, or
  # another record's blob. Active Storage itself attaches any blob whose signed id it is given.
  #
  # It is a validation of every attribute that is declared with `has_one_attached` or `has_many_attached`. The demand is
  # the attribute's `service:`, otherwise the service of the block that is in force ({EncryptedS3Service.with_service}),
  # otherwise that of the current tenant, and only when that service encrypts. Files that the record has already are not
  # looked at, so a form may send them again.
  #
  # The error is `:stored_elsewhere`; its text is `errors.messages.stored_elsewhere` in the application's locales, for
  # which this gem has some (`config/locales`), and English elsewhere. A refused direct upload is purged, see
  # {RefusedUploads}. Where `config.encrypted_s3_service.copy_attached_blobs` or the attachment wants it, a blob that
  # exists is copied to where it has to be instead, see {BlobCopy}.
  class AttachmentValidator < ActiveModel::EachValidator
    # The text where the locale of a reader has none.
    DEFAULT_MESSAGE = "was not uploaded to encrypted storage. Please choose the file again"

    # Prepended to ActiveRecord::Reflection's singleton class, where Rails notes every attachment that is declared
    # (`lib/active_storage/reflection.rb`).
    # @api private
    module Declarations
      # @return [void]
      def add_attachment_reflection(model, name, reflection)
        super
        AttachmentValidator.add_to(model, name)
      end
    end

    # Previews and variants, which are attachments of Active Storage's own records, follow their blob.
    #
    # @param model [Class]
    # @param attribute [Symbol]
    # @return [void]
    # @api private
    def self.add_to(model, attribute)
      return if model <= ActiveStorage::Record || model.validators_on(attribute).any?(self)

      model.validates_with(self, attributes: [attribute])
    end

    # @param record [ActiveRecord::Base]
    # @param attribute [Symbol]
    # @return [void]
    # @api private
    def validate_each(record, attribute, _value)
      added = added_blobs(record.attachment_changes[attribute.to_s])
      return if added.empty?

      demanded = RequiredService.demanded(record, attribute)
      refuse(record, attribute, added.reject { |blob| blob.service_name.to_s == demanded.to_s }) if demanded
    end

    # @param record [ActiveRecord::Base]
    # @param attribute [Symbol]
    # @param blobs [Array<ActiveStorage::Blob>] that live elsewhere
    # @return [void]
    # @api private
    def refuse(record, attribute, blobs)
      return if blobs.empty?

      record.errors.add(attribute, :stored_elsewhere, **default_message(record, attribute))
      RefusedUploads.purge_after_transaction(record, blobs)
    end

    private

    # The application may have a text for the model or the attribute alone (ActiveModel::Error.generate_message).
    def default_message(record, attribute)
      scope = record.class.i18n_scope
      models = record.class.lookup_ancestors.map { |model| "#{scope}.errors.models.#{model.model_name.i18n_key}" }
      places = [*models.flat_map { |model| ["#{model}.attributes.#{attribute}", model] },
                "#{scope}.errors.messages", "errors.attributes.#{attribute}", "errors.messages"]
      places.any? { |place| I18n.exists?("#{place}.stored_elsewhere") } ? {} : { message: DEFAULT_MESSAGE }
    end

    # A file that goes is no matter, and one that the record has is no change. What names its service itself is where
    # the application wants it.
    def added_blobs(change)
      pairs_of(change).filter_map do |attachable, attachment|
        attachment.blob if attachment&.new_record? && !names_service?(attachable)
      end
    end

    # @return [Array<Array>] what was given to the attribute, and the attachment that was made of it
    def pairs_of(change)
      return change.attachables.zip(change.attachments) if change.respond_to?(:attachables)

      change.respond_to?(:attachable) ? [[change.attachable, change.attachment]] : []
    end

    # Strong parameters are of this class: what a client sends does not choose the service.
    def names_service?(attachable)
      return false unless attachable.is_a?(Hash) && !attachable.is_a?(ActiveSupport::HashWithIndifferentAccess)

      attachable.symbolize_keys[:service_name].present?
    end
  end
end
