# frozen_string_literal: true

module EncryptedS3Service
  # The parts of an Active Storage service: for a mirror (ActiveStorage::Service::MirrorService, or any service with
  # `primary` and `mirrors`) the parts of its services, for any other service itself.
  # @api private
  class ServiceParts
    # @param service [ActiveStorage::Service, nil]
    # @return [Boolean] whether it is a service of this gem. Its class is loaded with the first such service
    def self.encrypts?(service)
      !defined?(ActiveStorage::Service::EncryptedS3Service).nil? &&
        service.is_a?(ActiveStorage::Service::EncryptedS3Service)
    end

    # @param service [ActiveStorage::Service]
    def initialize(service)
      @service = service
    end

    # @return [Boolean]
    def mirror? = parts_inside(@service).any?

    # @return [Array<ActiveStorage::Service>] the services that store files, the primary first
    def to_a = leaves(@service)

    # @return [Array<ActiveStorage::Service>] the parts that encrypt
    def encrypted = to_a.select { |part| ServiceParts.encrypts?(part) }

    # @return [Array<ActiveStorage::Service>] the parts that do not encrypt
    def plaintext = to_a.reject { |part| ServiceParts.encrypts?(part) }

    # @return [Boolean] whether all parts encrypt
    def encrypted? = plaintext.empty?

    # @return [Boolean] whether some parts encrypt and others do not, so that every file is also stored in plaintext
    def mixed? = encrypted.any? && plaintext.any?

    private

    def parts_inside(service)
      return [] unless service.respond_to?(:primary) && service.respond_to?(:mirrors)

      [service.primary, *service.mirrors]
    end

    def leaves(service)
      inside = parts_inside(service)
      inside.empty? ? [service] : inside.flat_map { |part| leaves(part) }
    end
  end
end
