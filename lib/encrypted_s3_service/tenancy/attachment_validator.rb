# frozen_string_literal: true

require_relative "refusal_text"

module EncryptedS3Service
  # Refuses a file that is on another service than its attribute requires: a direct upload without a token, or another
  # record's blob. Active Storage itself attaches any blob by its signed id.
  #
  # It validates every attribute declared with `has_one_attached` or `has_many_attached`. The required service is the
  # attribute's `service:`, otherwise that of the current block ({EncryptedS3Service.with_service}), otherwise that of
  # the current tenant. It is required only if it encrypts. Files that are already attached are not checked, so a form
  # can send them again.
  #
  # The error is `:stored_elsewhere`; its text is the application's `errors.messages.stored_elsewhere`, otherwise
  # {RefusalText}. A refused direct upload is purged, see {RefusedUploads}.
  # With `copy_attached_blobs` an existing blob is copied to the required service instead, see {BlobCopy}.
  class AttachmentValidator < ActiveModel::EachValidator
    # Prepended to ActiveRecord::Reflection's singleton class, where Rails registers every declared attachment
    # (`lib/active_storage/reflection.rb`).
    # @api private
    module Declarations
      # @return [void]
      def add_attachment_reflection(model, name, reflection)
        super
        AttachmentValidator.add_to(model, name)
      end
    end

    # Adds the validation to an attribute. Previews and variants, which are attachments of Active Storage's own records,
    # are left out because they follow their blob.
    #
    # @param model [Class]
    # @param attribute [Symbol]
    # @return [void]
    # @api private
    def self.add_to(model, attribute)
      return if model <= ActiveStorage::Record || model.validators_on(attribute).any?(self)

      model.validates_with(self, attributes: [attribute])
    end

    # Does not read the attributes: the application may have replaced a reader by a method that raises, or that has
    # parameters.
    #
    # @param record [ActiveRecord::Base]
    # @return [void]
    # @api private
    def validate(record)
      attributes.each { |attribute| validate_each(record, attribute, nil) }
    end

    # @param record [ActiveRecord::Base]
    # @param attribute [Symbol]
    # @return [void]
    # @api private
    def validate_each(record, attribute, _value)
      change = record.attachment_changes[attribute.to_s]
      added = change ? added_blobs(change) : assigned_blobs(record, attribute)
      return if added.empty?

      demanded = RequiredService.demanded(record, attribute)
      refuse(record, attribute, added.reject { |blob| blob.service_name.to_s == demanded.to_s }) if demanded
    end

    # @param record [ActiveRecord::Base]
    # @param attribute [Symbol]
    # @param blobs [Array<ActiveStorage::Blob>] blobs on another service than the required one
    # @return [void]
    # @api private
    def refuse(record, attribute, blobs)
      return if blobs.empty?

      record.errors.add(attribute, :stored_elsewhere, **default_message(record, attribute))
      RefusedUploads.purge_after_transaction(record, blobs)
    end

    private

    # The application may have a text for the model or attribute (ActiveModel::Error.generate_message).
    def default_message(record, attribute)
      scope = record.class.i18n_scope
      models = record.class.lookup_ancestors.map { |model| "#{scope}.errors.models.#{model.model_name.i18n_key}" }
      places = [*models.flat_map { |model| ["#{model}.attributes.#{attribute}", model] },
                "#{scope}.errors.messages", "errors.attributes.#{attribute}", "errors.messages"]
      places.any? { |place| I18n.exists?("#{place}.stored_elsewhere") } ? {} : { message: RefusalText.for(I18n.locale) }
    end

    # Removed and already attached files are not checked, nor those for which the application passed a `service_name:`.
    def added_blobs(change)
      pairs_of(change).filter_map do |attachable, attachment|
        attachment.blob if attachment&.new_record? && !names_service?(attachable)
      end
    end

    # The association itself can be assigned (`contract_pdf_blob=`, gems that clone records). If the row of a `has_one`
    # is not valid ({AttachmentRows}), Rails saves the record without it, or with the former one.
    def assigned_blobs(record, attribute)
      name = :"#{attribute}_attachment"
      row = record.association(name).target if record.class.reflect_on_association(name)
      row&.encrypted_s3_attaches? ? [row.blob].compact : []
    end

    # @return [Array<Array>] each value given to the attribute, with its attachment
    def pairs_of(change)
      return change.attachables.zip(change.attachments) if change.respond_to?(:attachables)

      change.respond_to?(:attachable) ? [[change.attachable, change.attachment]] : []
    end

    # Strong parameters are of this class: a client's parameters do not choose the service.
    def names_service?(attachable)
      return false unless attachable.is_a?(Hash) && !attachable.is_a?(ActiveSupport::HashWithIndifferentAccess)

      attachable.symbolize_keys[:service_name].present?
    end
  end
end
