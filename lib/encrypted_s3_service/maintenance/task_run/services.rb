# frozen_string_literal: true

require_relative "../../errors"
require_relative "../../tenancy/service_parts"

module EncryptedS3Service
  module TaskRun
    # The services that a task is given by name.
    # @api private
    module Services
      module_function

      # @param name [Symbol, String]
      # @return [ActiveStorage::Service]
      # @raise [ConfigurationError]
      def fetch(name)
        ActiveStorage::Blob.services.fetch(name) do
          raise ConfigurationError, "There is no service #{name.to_s.inspect}, neither in config/storage.yml nor " \
                                    "from config.encrypted_s3_service (service_resolver, tenant_keys)."
        end
      end

      # @param service [ActiveStorage::Service]
      # @return [Array<ActiveStorage::Service>] the services of a mirror; any other service is its own only part
      def parts_of(service) = ServiceParts.new(service).to_a

      # @param service [ActiveStorage::Service]
      # @return [Array<ActiveStorage::Service>] its parts that encrypt
      def encrypted_parts_of(service)
        parts_of(service).select { |part| part.respond_to?(:client) && part.client.is_a?(Client) }
      end
    end
  end
end
