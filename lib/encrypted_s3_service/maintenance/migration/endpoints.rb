# frozen_string_literal: true

require "openssl"
require "securerandom"
require_relative "../task_run/checksum_form"
require_relative "../task_run/services"

module EncryptedS3Service
  class Migration
    # The two services of a migration, and the keys of files in each.
    # @api private
    class Endpoints
      # Base and length of Active Storage's keys (ActiveStorage::Blob::MINIMUM_TOKEN_LENGTH).
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
        raise ConfigurationError, "FROM and TO are the same service, #{@from_name}." if @from_name == @to_name

        @from = TaskRun::Services.fetch(@from_name)
        @to = TaskRun::Services.fetch(@to_name)
      end

      # A mirror stores files by jobs that use the default service only, and its other methods use only its first
      # service. Here the file is stored in each of its services.
      # @return [Array<ActiveStorage::Service>] the services that get the file
      def targets = TaskRun::Services.parts_of(@to)

      # @return [TaskRun::ChecksumForm, nil] the form that the checksums of its files must have; nil for any
      def checksum_form = TaskRun::ChecksumForm.of(@to)

      # Whether both services store files in the same place, so that a copy under the same key would overwrite its
      # source and deleting the old file would delete the new one. This is found by the settings and by storing and
      # deleting a small test file, because settings do not show aliases of hosts and links between folders. If the
      # result is true by mistake, files only get new keys.
      # @raise [StandardError] when the new service cannot store files
      def shared?
        return @shared if defined?(@shared)

        seen = targets.map { |target| seen_by_source?(target) }.any?
        # Without the store, whose address may have several forms.
        @shared = seen || [@from, @to].map { |service| places_of(service).map(&:last) }.reduce(:intersect?)
      end

      # @param key [String] the blob's present key
      # @return [String] the key in the new service: the same, or {.moved_key} if that would overwrite the old file
      def new_key(key) = shared? ? self.class.moved_key(to_name, key) : key

      # Always the same for the same key, so that an incomplete copy of an earlier run is overwritten.
      # @param to_name [String] the name of the service that gets the copy
      # @param key [String] the former key. The new key cannot be guessed without it, and no former key can be found for
      #   a given new key
      # @return [String] a key in the form of Active Storage
      def self.moved_key(to_name, key)
        OpenSSL::Digest.hexdigest("SHA256", "#{to_name}\0#{key}").to_i(16).to_s(KEY_BASE).rjust(KEY_LENGTH, "0")
                       .slice(-KEY_LENGTH..)
      end

      # @return [Array<String>] names of the services that have the old files: more than one for a mirror
      def from_names = TaskRun::Services.parts_of(@from).map { |part| part.name.to_s }

      # @param name [String] of a service
      # @return [Boolean] whether its files are in the same place as those of the old service, as far as the settings
      #   show it
      def old_place?(name)
        @old_places ||= Concurrent::Map.new
        @old_places.compute_if_absent(name) do
          name == from_name || places_of(TaskRun::Services.fetch(name)).intersect?(places_of(@from))
        rescue ConfigurationError
          false
        end
      end

      # @param name [String] of a service
      # @param key [String]
      # @return [Boolean] whether the service has the file; a mirror if any of its services has it, because a deletion
      #   may have failed at the others
      def left?(name, key) = parts_of(name).any? { |part| part.exist?(key) }

      # The run keeps its own service, because the lookup of a tenant's may read the key from a database.
      # @param name [String] of a service
      # @return [Array<ActiveStorage::Service>] the services of a mirror; for any other service, itself
      def parts_of(name) = TaskRun::Services.parts_of(name == from_name ? @from : TaskRun::Services.fetch(name))

      # @return [void]
      # @raise [ConfigurationError] if the place of the old service does not exist: then nothing is known of its files
      def require_old_place
        @there ||= TaskRun::Services.parts_of(@from).all? { |part| TaskRun::Services.place?(part) }
        return if @there

        raise ConfigurationError, "#{from_name}: its bucket or folder does not exist, so that its old files stay " \
                                  "noted. Check its entry in #{Engine::StorageFile.path}."
      end

      # A key that an application chose may belong to another file elsewhere. A key made by Active Storage or
      # {.moved_key} belongs to one file only.
      # @param key [String]
      # @return [Boolean] whether it was made at random or from another key
      def self.random_key?(key) = key.match?(/\A[a-z0-9]{#{KEY_LENGTH}}\z/o)

      # @return [Array<String>] names of all services between which earlier runs may have moved files
      def names = [from_name, to_name, *configured_names].uniq

      private

      def configured_names = Rails.configuration.active_storage.service_configurations.to_h.keys.map(&:to_s)

      def seen_by_source?(target)
        key = "migration-probe-#{SecureRandom.hex(16)}"
        target.upload(key, StringIO.new("probe"))
        TaskRun::Services.parts_of(@from).any? { |source| source.exist?(key) }
      ensure
        target.delete(key) if key
      end

      def places_of(service) = TaskRun::Services.parts_of(service).map { |part| place_of(part) }

      # Identifies the place of a service's files: the store and the place in it. A service of an unknown kind has its
      # own place.
      def place_of(service)
        if service.respond_to?(:client) && service.client.respond_to?(:configuration)
          configured_place(service.client.configuration)
        elsif service.respond_to?(:bucket)
          [store_at(service.bucket.client.config.endpoint), [service.bucket.name, ""]]
        else
          [nil, service.respond_to?(:root) ? File.expand_path(service.root) : service.object_id]
        end
      end

      def configured_place(configuration)
        root = configuration.root
        [root ? nil : store_at(configuration.endpoint), [root || configuration.bucket, configuration.prefix.to_s]]
      end

      # Names of buckets are unique in all of Amazon S3, but not among stores.
      def store_at(endpoint)
        uri = URI(endpoint.to_s)
        uri.host.nil? || uri.host.match?(/\.amazonaws\.com(\.cn)?\z/) ? :amazon : [uri.host, uri.port, uri.path]
      end
    end
  end
end
