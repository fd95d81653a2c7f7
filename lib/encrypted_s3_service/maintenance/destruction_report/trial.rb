# frozen_string_literal: true

require "time"
require_relative "../../errors"
require_relative "../../tenancy/service_entries"

module EncryptedS3Service
  class DestructionReport
    # Tries to open one stored object: with the key of its service, and with the keys of the service's entry in
    # `storage.yml`.
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

      # @return [Hash{String => Array<String>}] ids of the tried keys, by services
      def key_ids
        @clients.transform_values do |client|
          client.is_a?(KeylessClient) ? [] : client.configuration.keys.filter_map(&:id)
        end
      end

      # @param key [String] the object's key
      # @return [Hash{Symbol => Object}] the object's envelope and the results of the attempts: `result:` is
      #   `"unreadable"`, `"gone"` (nothing is stored), `"opened"`, or `"not tried"` (the store or the key's custodian
      #   did not answer, or the object is damaged)
      def call(key)
        described = describe(key) or return { result: "gone", tried_at: now, tries: [] }

        tries = @clients.map { |name, client| attempt(name, client, key) }
        { **described, result: result(tries), tried_at: now, tries: tries }
      rescue Error => e
        { result: "not tried", tried_at: now, tries: [{ with: @part.name.to_s, error: e.code, message: e.message }] }
      end

      private

      def now = Time.now.utc.iso8601

      def describe(key)
        stat = @part.client.stat(key)
        { stored_bytes: stat.size, etag: stat.etag, format: stat.format, key_id: stat.key_id }
      rescue NotFoundError
        nil
      end

      def attempt(name, client, key)
        client.reader(key).close
        { with: name, error: nil, message: "opened" }
      rescue Error => e
        { with: name, error: e.code, message: e.message, by_key: by_key?(e) }
      end

      # Whether the object cannot be opened because a key is missing, and not because a server did not answer.
      def by_key?(error) = error.is_a?(KeyringError) && !error.is_a?(CustodianError)

      def result(tries)
        by_key = tries.map { |try| try.delete(:by_key) }
        return "opened" if tries.any? { |try| try[:error].nil? }

        by_key.all? ? "unreadable" : "not tried"
      end
    end
  end
end
