# frozen_string_literal: true

module EncryptedS3Service
  # Makes ActiveStorage::MirrorJob use the file's own service. Rails calls the application's default service, so the
  # mirror of a tenant or of an attachment would never copy anything. The job carries the service's name (see
  # {CarriedTenant}).
  # @api private
  module MirrorJobs
    # Prepended to ActiveStorage::Service::MirrorService.
    module Service
      # @param key [String]
      # @param checksum [String, nil]
      # @return [void]
      def mirror_later(key, checksum:) = MirrorJobs.for_service(name) { super }

      # Stores no copy of a file that is deleted meanwhile. Rails would leave it in a mirror, where no row names it.
      # Copies that were there before are kept, because the primary may have lost the file.
      # @param key [String]
      # @param checksum [String, nil]
      # @return [void]
      def mirror(key, checksum:)
        return super if ServiceParts.new(self).encrypted.empty?

        lacking = mirrors.reject { |mirror| mirror.exist?(key) }
        super
        lacking.each { |mirror| mirror.delete(key) } if lacking.any? && !primary.exist?(key)
      end

      # Opens the file in the primary service. Rails downloads from it, and compares an MD5 itself, so that a file with
      # a SHA-256 cannot be opened.
      # @return [Object] as ActiveStorage::Service#open
      def open(...) = Serving::PrivateProxy.encrypted?(primary) ? primary.open(...) : super
    end

    # Prepended to ActiveStorage::Blob, which enqueues the job in Rails 7.1.
    module Blob
      # @return [void]
      def mirror_later = MirrorJobs.for_service(service_name) { super }
    end

    class << self
      # @return [void]
      def install
        require "active_storage/service/mirror_service"
        ActiveStorage::Service::MirrorService.prepend(Service)
        ActiveStorage::Blob.prepend(Blob)
      end

      # Leaves a mirror that is not registered by name to Rails.
      # @param name [Symbol, String, nil]
      # @yield
      # @return [Object] the block's result
      def for_service(name, &)
        known = name && ActiveStorage::Blob.services.fetch(name) { false } # rubocop:disable Style/RedundantFetchBlock
        known ? EncryptedS3Service.with_service(name, &) : yield
      end
    end
  end
end
