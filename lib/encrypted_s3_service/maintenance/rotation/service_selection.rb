# frozen_string_literal: true

require_relative "../task_run/services"

module EncryptedS3Service
  class Rotation
    # Selects the services of a run: one, or all services of the blobs.
    # @api private
    class ServiceSelection
      # @return [String, nil] the name of the only service
      attr_reader :only

      # @return [Array<String>] names of services without a key that were found so far
      attr_reader :keyless

      # @return [Hash{String => String}] why a service that a blob names, or its key, is not available
      attr_reader :unknown

      # @param only [Symbol, String, ActiveStorage::Service, nil] one service; nil for all
      # @param uses_keys [Boolean] whether the run needs the services' keys; then their custodian is asked for them
      # @raise [ConfigurationError] when the service does not exist or does not encrypt
      # @raise [KeyDestroyedError] when its key is destroyed
      def initialize(only, uses_keys: true)
        @uses_keys = uses_keys
        @keyless = []
        @unknown = {}
        choose(only.is_a?(ActiveStorage::Service) ? only : TaskRun::Services.fetch(only)) if only
      end

      # @param blobs [ActiveRecord::Relation] of ActiveStorage::Blob
      # @return [ActiveRecord::Relation] the blobs that may be in the services
      def among(blobs) = only ? blobs.where(service_name: only) : blobs

      # @param name [String] the service's name in a blob's row
      # @return [Array<ActiveStorage::Service::EncryptedS3Service>] its parts that encrypt; none if the service is
      #   skipped
      def parts(name)
        return @parts if only
        return [] if keyless.include?(name) || unknown.key?(name)

        parts = TaskRun::Services.encrypted_parts_of(TaskRun::Services.fetch(name))
        return require_keys(parts) unless keyless?(parts)

        keyless << name
        []
      rescue ConfigurationError, KeyDestroyedError => e
        unknown[name] = e.message
        []
      end

      private

      def choose(service)
        @only = service.name.to_s
        @parts = TaskRun::Services.encrypted_parts_of(service)
        raise ConfigurationError, "#{only} is not an EncryptedS3 service." if @parts.empty?
        return require_keys(@parts) unless keyless?(@parts)

        raise KeyDestroyedError, "The key of #{only} is destroyed. Its files cannot be rotated or read."
      end

      def keyless?(parts) = parts.any? { |part| part.client.is_a?(KeylessClient) }

      # Otherwise each file of a destroyed key would fail. Unlike a service without a key, this is a failure of the run,
      # because custodians answer in the same way where the address or the mount is wrong.
      def require_keys(parts)
        parts.each { |part| TaskRun::Services.require_key(part) } if @uses_keys
        parts
      rescue KeyDestroyedError, ConfigurationError
        raise
      rescue Error
        # The custodian may be available again when the files are processed.
        parts
      end
    end
  end
end
