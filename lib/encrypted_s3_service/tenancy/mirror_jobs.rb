# frozen_string_literal: true

module EncryptedS3Service
  # ActiveStorage::MirrorJob asks the application's default service to mirror a file, whichever service the file is on:
  # a tenant's mirror, or one that an attachment names, would never copy anything. The job takes the name of the file's
  # own service along instead (see {CarriedTenant}).
  # @api private
  module MirrorJobs
    # Prepended to ActiveStorage::Service::MirrorService.
    module Service
      # @param key [String]
      # @param checksum [String, nil]
      # @return [void]
      def mirror_later(key, checksum:) = MirrorJobs.for_service(name) { super }
    end

    # Prepended to ActiveStorage::Blob: Rails 7.1 makes the job there.
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

      # A mirror that nobody can find by its name is Rails' affair.
      # @param name [Symbol, String, nil]
      # @yield
      # @return [Object] what the block returns
      def for_service(name, &)
        known = name && ActiveStorage::Blob.services.fetch(name) { false } # rubocop:disable Style/RedundantFetchBlock
        known ? EncryptedS3Service.with_service(name, &) : yield
      end
    end
  end
end
