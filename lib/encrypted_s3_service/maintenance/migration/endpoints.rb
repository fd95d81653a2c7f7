# frozen_string_literal: true

require "openssl"
require "securerandom"
require_relative "../task_run/services"

module EncryptedS3Service
  class Migration
    # The two services of a migration, and under which key a file is in each.
    # @api private
    class Endpoints
      # Characters of a key, as Active Storage makes them, and how many (ActiveStorage::Blob::MINIMUM_TOKEN_LENGTH).
      KEY_BASE = 36
      KEY_LENGTH = 28
      private_constant :KEY_BASE, :KEY_LENGTH

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

        @from = TaskRun::Services.fetch(@from_name)
        @to = TaskRun::Services.fetch(@to_name)
      end

      # A mirror stores by jobs that look at the default service only, and answers for its first service alone: here
      # every service that it consists of gets the file, and each is asked.
      # @return [Array<ActiveStorage::Service>] those that have to have the file in the end
      def targets = TaskRun::Services.parts_of(@to)

      # Whether both keep their files in the same place (one bucket, with and without encryption, or with another key),
      # where a copy under the same key would overwrite what it is a copy of, and deleting the old file would delete the
      # new one. Asked of the settings, and by a file of a few bytes that is stored and removed again: aliases of hosts
      # and links between folders do not show in settings. A wrong yes does no harm.
      # @return [Boolean]
      # @raise [StandardError] when the new service takes no files, before any of them is tried
      def shared?
        return @shared if defined?(@shared)

        seen = targets.map { |target| seen_by_source?(target) }.any?
        @shared = seen || names_of(@from).intersect?(names_of(@to))
      end

      # @param key [String] of a blob that is to be moved
      # @return [String] the key that it will have: the same, or where that would overwrite the old file always the same
      #   other one, so that a copy that was begun before is overwritten. Who does not know the old key cannot guess it
      def new_key(key)
        return key unless shared?

        OpenSSL::Digest.hexdigest("SHA256", "#{to_name}\0#{key}").to_i(16).to_s(KEY_BASE).rjust(KEY_LENGTH, "0")
                       .slice(-KEY_LENGTH..)
      end

      # @param blob [ActiveStorage::Blob] that was moved
      # @return [Array<String>] keys under which the old service may still have its file
      def old_keys(blob) = (FormerKeys.of(blob) + [blob.key]).uniq - (shared? ? [blob.key] : [])

      private

      def seen_by_source?(target)
        key = "migration-probe-#{SecureRandom.hex(16)}"
        target.upload(key, StringIO.new("probe"))
        TaskRun::Services.parts_of(@from).any? { |source| source.exist?(key) }
      ensure
        target.delete(key) if key
      end

      def names_of(service) = TaskRun::Services.parts_of(service).map { |part| name_of(part) }

      # What tells the place of a service among those of its kind; nil where it is not known.
      def name_of(service)
        if service.respond_to?(:client) && service.client.respond_to?(:configuration)
          service.client.configuration.bucket
        elsif service.respond_to?(:bucket)
          service.bucket.name
        elsif service.respond_to?(:root)
          File.expand_path(service.root)
        else
          service.object_id
        end
      end
    end
  end
end
