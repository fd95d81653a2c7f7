# frozen_string_literal: true

require_relative "../../errors"
require_relative "../../tenancy/service_parts"

module EncryptedS3Service
  module TaskRun
    # Finds the services that are named in the arguments of a task.
    # @api private
    module Services
      module_function

      # @param name [Symbol, String]
      # @return [ActiveStorage::Service]
      # @raise [ConfigurationError]
      def fetch(name)
        ActiveStorage::Blob.services.fetch(name) do
          raise ConfigurationError, "There is no service #{name.to_s.inspect}, neither in " \
                                    "#{Engine::StorageFile.path} nor from " \
                                    "config.encrypted_s3_service (service_resolver, tenant_keys)."
        end
      end

      # @param service [ActiveStorage::Service]
      # @return [Array<ActiveStorage::Service>] the services of a mirror; for any other service, itself
      def parts_of(service) = ServiceParts.new(service).to_a

      # A store says of each file that it does not exist if the bucket does not. A wrong setting must not look like an
      # empty bucket.
      # @param part [ActiveStorage::Service] not a mirror
      # @return [Boolean] false if its bucket or folder does not exist; true if that is unknown
      def place?(part)
        if ServiceParts.encrypts?(part)
          root = part.client.configuration.root
          return root ? File.directory?(root) : bucket?(part.client)
        end
        return part.bucket.exists? if part.respond_to?(:bucket) && part.bucket.respond_to?(:exists?)

        !part.respond_to?(:root) || File.directory?(part.root)
      rescue StandardError
        # The permission may be missing. Amazon's client has its own errors, whose classes may not be loaded.
        true
      end

      def bucket?(client)
        client.keeps_versions?
        true
      rescue ConfigurationError
        false
      end
      private_class_method :bucket?

      # Asks the custodian of the key for new files, if it has one.
      # @param part [ActiveStorage::Service::EncryptedS3Service]
      # @return [void]
      # @raise [KeyDestroyedError] when the key is destroyed
      # @raise [Error] when it is not available for another reason
      def require_key(part)
        key = part.client.configuration.encryption_key
        key.copy.wipe if key&.custodied?
      end

      # @param service [ActiveStorage::Service]
      # @return [Array<ActiveStorage::Service>] its parts that encrypt
      def encrypted_parts_of(service)
        parts_of(service).select { |part| part.respond_to?(:client) && part.client.is_a?(Client) }
      end
    end
  end
end
