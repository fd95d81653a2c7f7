# frozen_string_literal: true

module EncryptedS3Service
  # The service that an attachment requires for its blobs.
  # @api private
  module RequiredService
    # @param record [Object, Class, nil] a class for a new record of it, which is made only if a Proc needs it
    # @param attribute [Symbol, String, nil]
    # @return [Symbol, nil] the `service:` of the attachment for this record, also if it is a Proc (Rails 7.2)
    def self.of(record, attribute)
      return unless record.respond_to?(:attachment_reflections)

      service = record.attachment_reflections[attribute.to_s]&.options&.fetch(:service_name, nil)
      service = service.call(record.is_a?(Class) ? record.new : record) if service.is_a?(Proc)
      service&.to_sym
    end

    # @param record [Object]
    # @param attribute [Symbol, String]
    # @return [Symbol, nil] the required service of the record's files: the service of its new files ({ServiceSwitch})
    #   if it encrypts, at least in part, and is not just the application's default; nil when any service is allowed
    def self.demanded(record, attribute)
      name = of(record, attribute) || EncryptedS3Service.current_service
      service = ActiveStorage::Blob.services.fetch(ServiceSwitch.existing(name)) if name
      name if service && ServiceParts.new(service).encrypted.any?
    end
  end
end
