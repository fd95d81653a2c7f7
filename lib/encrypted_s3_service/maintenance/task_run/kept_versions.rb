# frozen_string_literal: true

require_relative "../../tenancy/service_parts"

module EncryptedS3Service
  module TaskRun
    # Finds the buckets that keep older versions of the objects that a task replaced or deleted.
    # @api private
    module KeptVersions
      # Advice about older versions.
      ADVICE = "A lifecycle rule of the bucket deletes them (NoncurrentVersionExpiration)."

      module_function

      # @param names [Array<String>] of services
      # @return [Array<String>] names of their parts whose buckets keep older versions, if the credentials permit the
      #   request
      def among(names)
        services = names.filter_map { |name| ActiveStorage::Blob.services.fetch(name) { next } }
        services.flat_map { |service| ServiceParts.new(service).to_a }.uniq.select { |part| kept?(part) }
                .map { |part| part.name.to_s }
      end

      # @param part [ActiveStorage::Service] not a mirror
      # @return [Boolean]
      def kept?(part)
        return part.client.keeps_versions? if ServiceParts.encrypts?(part)
        return false unless part.respond_to?(:bucket) && part.bucket.respond_to?(:versioning)

        !part.bucket.versioning.status.nil?
      rescue StandardError
        # The task is done and must not fail. Amazon's client has its own errors, whose classes may not be loaded.
        false
      end
    end
  end
end
