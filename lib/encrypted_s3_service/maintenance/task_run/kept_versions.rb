# frozen_string_literal: true

require_relative "../../tenancy/service_parts"

module EncryptedS3Service
  module TaskRun
    # Finds out where objects that a task replaced or deleted are kept as older versions, so that it can say so.
    # @api private
    module KeptVersions
      # What to do about them.
      ADVICE = "A lifecycle rule of the bucket deletes them (NoncurrentVersionExpiration)."

      module_function

      # @param names [Array<String>] of services
      # @return [Array<String>] names of their parts whose buckets keep older versions, as far as the credentials allow
      #   to ask
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
        # The task has done its work. Amazon's client has errors of its own, which may not be loaded.
        false
      end
    end
  end
end
