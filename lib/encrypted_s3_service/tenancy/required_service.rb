# frozen_string_literal: true

module EncryptedS3Service
  # The service that the declaration of an attachment names, and what follows for the blobs that are attached.
  # @api private
  module RequiredService
    # @param record [Object, nil]
    # @param attribute [Symbol, String, nil]
    # @return [Symbol, nil] what `has_one_attached …, service:` names for this record, also by a Proc (Rails 7.2)
    def self.of(record, attribute)
      return unless record.respond_to?(:attachment_reflections)

      service = record.attachment_reflections[attribute.to_s]&.options&.fetch(:service_name, nil)
      service = service.call(record) if service.is_a?(Proc)
      service&.to_sym
    end

    # @param record [Object]
    # @param attribute [Symbol, String]
    # @return [Symbol, nil] where the record's files must live: on the service that its new files go to
    #   ({ServiceSwitch}), when that encrypts, at least in part, and is not just the application's default; nil when it
    #   does not matter
    def self.demanded(record, attribute)
      name = of(record, attribute) || EncryptedS3Service.current_service
      service = ActiveStorage::Blob.services.fetch(ServiceSwitch.existing(name)) if name
      name if service && ServiceParts.new(service).encrypted.any?
    end
  end
end
