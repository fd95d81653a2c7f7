# frozen_string_literal: true

require "securerandom"

module EncryptedS3Service
  class Migration
    # The two services of a migration.
    # @api private
    class Places
      # @return [String] the name of the service that blobs are moved from
      attr_reader :from_name

      # @return [String] the name of the service that blobs are moved to
      attr_reader :to_name

      # @return [ActiveStorage::Service]
      attr_reader :from

      # @param from [Symbol, String]
      # @param to [Symbol, String]
      # @raise [ConfigurationError]
      def initialize(from, to)
        @from_name = from.to_s
        @to_name = to.to_s
        raise ConfigurationError, "FROM and TO are the same service, #{@from_name}" if @from_name == @to_name

        @from = fetch(@from_name)
        @to = fetch(@to_name)
      end

      # A mirror stores by jobs that look at the default service only, and answers for its first service alone: here
      # every service that it consists of gets the file, and each is asked.
      # @return [Array<ActiveStorage::Service>] those that have to have the file in the end
      def targets = parts_of(@to)

      # Found out by a file of a few bytes that is stored and removed again: whether two entries mean one place does not
      # show in their settings (aliases of hosts, links between folders).
      # @return [void]
      # @raise [ConfigurationError]
      def refuse_shared_storage
        shared = targets.any? { |target| seen_by_source?(target) }
        return unless shared

        raise ConfigurationError,
              "#{from_name} and #{to_name} keep their files in the same place, so each copy would overwrite the file " \
              "that it is a copy of. Give #{to_name} another bucket or folder."
      end

      private

      def seen_by_source?(target)
        key = "migration-probe-#{SecureRandom.hex(16)}"
        target.upload(key, StringIO.new("probe"))
        parts_of(@from).any? { |source| source.exist?(key) }
      ensure
        target.delete(key) if key
      end

      def parts_of(service)
        return [service] unless service.respond_to?(:primary) && service.respond_to?(:mirrors)

        [service.primary, *service.mirrors]
      end

      def fetch(name)
        ActiveStorage::Blob.services.fetch(name) do
          raise ConfigurationError, "There is no service #{name.inspect}, neither in config/storage.yml nor from " \
                                    "config.encrypted_s3_service (service_resolver, tenant_keys)."
        end
      end
    end
  end
end
