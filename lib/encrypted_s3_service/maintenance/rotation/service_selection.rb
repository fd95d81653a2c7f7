# frozen_string_literal: true

require_relative "../task_run/services"

module EncryptedS3Service
  class Rotation
    # Which services a task goes through.
    # @api private
    class ServiceSelection
      # @return [Array<String>] in order
      attr_reader :encrypted

      # @return [Array<String>] services whose keys are destroyed
      attr_reader :keyless

      # @return [Hash{String => String}] why a service that blobs name cannot be had
      attr_reader :unknown

      # @param only [String, nil] the name of one service; nil takes all that blobs name
      def initialize(only)
        @encrypted = [only].compact
        @keyless = []
        @unknown = {}
        ActiveStorage::Blob.distinct.pluck(:service_name).sort.each { |name| add(name) } unless only
      end

      private

      def add(name)
        parts = TaskRun::Services.encrypted_parts_of(TaskRun::Services.fetch(name))
        return if parts.empty?

        (parts.any? { |part| part.client.is_a?(KeylessClient) } ? @keyless : @encrypted) << name
      rescue ConfigurationError => e
        @unknown[name] = e.message
      end
    end
  end
end
