# frozen_string_literal: true

module EncryptedS3Service
  # What an Active Storage service consists of: a mirror (ActiveStorage::Service::MirrorService, or what has a `primary`
  # and `mirrors` as that has) of the parts of its services, any other of itself.
  # @api private
  class ServiceParts
    # @param service [ActiveStorage::Service]
    def initialize(service)
      @service = service
    end

    # @return [Boolean]
    def mirror? = parts_inside(@service).any?

    # @return [Array<ActiveStorage::Service>] those that store files themselves, the primary first
    def to_a = leaves(@service)

    # @return [Array<ActiveStorage::Service>] the parts that encrypt
    def encrypted = to_a.select { |part| encrypts?(part) }

    # @return [Array<ActiveStorage::Service>] the parts that store what they are given
    def plaintext = to_a.reject { |part| encrypts?(part) }

    # @return [Boolean] whether all parts encrypt
    def encrypted? = plaintext.empty?

    # @return [Boolean] whether some parts encrypt and some do not: the plaintext of every file is in the latter
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

    # The file of the class is loaded with the first service of its kind.
    def encrypts?(part)
      !defined?(ActiveStorage::Service::EncryptedS3Service).nil? &&
        part.is_a?(ActiveStorage::Service::EncryptedS3Service)
    end
  end
end
