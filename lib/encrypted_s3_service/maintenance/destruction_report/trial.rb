# frozen_string_literal: true

require "time"
require_relative "../../errors"
require_relative "../../tenancy/service_entries"
require_relative "results"

module EncryptedS3Service
  class DestructionReport
    # Tries to open one stored object, and the older versions of it that the bucket keeps: with the key of its service,
    # and with the keys of the service's entry in `storage.yml`.
    # @api private
    class Trial
      # @param part [ActiveStorage::Service] an EncryptedS3 service
      def initialize(part)
        @part = part
        @clients = { part.name.to_s => part.client }
        base, tenant = part.name.to_s.split(TenantKeys::SEPARATOR, 2)
        entry = tenant && ServiceEntries.new[base]
        @clients[base] = Client.new(**entry.except(:service)) if entry
      end

      # @return [String, nil] the bucket
      def bucket = @part.client.configuration.bucket

      # @return [Hash{String => Array<String>}] ids of the tried keys, by services
      def key_ids
        @clients.transform_values do |client|
          client.is_a?(KeylessClient) ? [] : client.configuration.keys.filter_map(&:id)
        end
      end

      # @param key [String] the object's key
      # @return [Hash{Symbol => Object}] the object's envelope and the results of the attempts. `result:` is one of
      #   {Results::ALL}, the worst of the object and its `older_versions:`
      def call(key)
        tried = latest(key)
        older = older_versions(key)
        { **tried, result: Results.worst([tried, *older]), tried_at: Time.now.utc.iso8601, older_versions: older }
      end

      private

      def latest(key)
        stat, envelope = @part.client.stat_and_envelope(key)
        { stored_bytes: stat.size, etag: stat.etag, format: stat.format, key_id: stat.key_id,
          **tried(envelope.recovery) { |client| client.reader(key).close } }
      rescue NotFoundError
        { result: Results::GONE, tries: [] }
      rescue Error => e
        untried(e)
      end

      def older_versions(key)
        return [] unless keeps_versions?

        @part.client.older_versions(key).map { |id| version(key, id) }
      rescue AccessError => e
        [{ **untried(e, "The older versions of the object could not be listed. This needs s3:GetBucketVersioning " \
                        "and s3:ListBucketVersions") }]
      rescue Error => e
        [untried(e)]
      end

      # Requested once for all objects.
      def keeps_versions?
        @keeps_versions = @part.client.keeps_versions? if @keeps_versions.nil?
        @keeps_versions
      end

      def version(key, id)
        envelope = @part.client.version_envelope(key, id)
        { version: id, format: envelope.format, key_id: envelope.key_id,
          **tried(envelope.recovery) { |client| client.open_version(key, id) } }
      rescue NotFoundError
        { version: id, result: Results::GONE, tries: [] }
      rescue Error => e
        { version: id, **untried(e) }
      end

      def untried(error, message = error.message)
        { result: Results::NOT_TRIED, tries: [{ with: @part.name.to_s, error: error.code, message: message }] }
      end

      # @yieldparam client [Client]
      def tried(recovery_keys, &)
        tries = @clients.map { |name, client| attempt(name, client, &) }
        result = Results.of(tries.map { |try| try.delete(:because) }, recovery_keys)
        { recovery_keys: recovery_keys, result: result, tries: tries }
      end

      def attempt(name, client)
        yield client
        { with: name, error: nil, message: "opened", because: nil }
      rescue Error => e
        failure = unusable_key(client) || e
        { with: name, error: failure.code, message: failure.message, because: failure }
      end

      # A custodian that returns a wrong key, or cannot use a reference, does not show that the right key is destroyed.
      # @return [CustodianError, nil]
      def unusable_key(client)
        return if client.is_a?(KeylessClient)

        client.configuration.keys.select(&:custodied?).filter_map { |key| problem_with(key) }.first
      end

      def problem_with(key)
        key.copy.wipe
        nil
      rescue KeyDestroyedError
        nil
      rescue KeyringError => e
        e.is_a?(CustodianError) ? e : CustodianError.new(e.message)
      end
    end
  end
end
