# frozen_string_literal: true

require_relative "../configuration/confidential"

module EncryptedS3Service
  class Client
    # The native client of a service whose keys a custodian keeps. It is dropped when {KeyCustody} drops its keys, and
    # built again on the next use. Its connections stay open, because they belong to the process.
    # @api private
    class CustodiedKeys
      include Confidential

      # A native client, and the time until which it may be used.
      Slot = Struct.new(:native, :ends_at, :generation) do
        include Confidential

        private

        def public_attributes = { ends_at: ends_at }
      end
      private_constant :Slot

      # @param configuration [Configuration]
      def initialize(configuration)
        @configuration = configuration
        # The errors of the reading keys that the native client lacks, by key id.
        @refusals = {}
        @lock = Mutex.new
        custody.register(self)
      end

      # @return [Native::Client]
      # @raise [KeyringError] when the custodian does not return the writing key
      def native
        slot = @slot
        return slot.native if usable?(slot)

        @lock.synchronize do
          slot = @slot
          slot = @slot = build unless usable?(slot)
          slot.native
        end
      end

      # Drops the native client if it may not be used any more. It wipes its keys when Ruby collects it.
      # @return [void]
      def release
        slot = @slot
        @slot = nil unless usable?(slot)
      end

      # @return [Native::Client] a client without keys
      def keyless = @keyless ||= Native::Client.new(@configuration.to_native_without_keys)

      # @yieldreturn [String, nil] the id of the key that an object needs
      # @return [KeyringError, nil] why the custodian did not return that key; for an object that names no known key,
      #   the first refusal
      def refusal
        refusals = @refusals
        return if refusals.empty?

        id = yield
        refusals.fetch(id) { refusals.values.first unless @configuration.keys.any? { |key| id && key.id == id } }
      end

      private

      def public_attributes = { keys: @configuration.keys.size }

      def custody = EncryptedS3Service.key_custody

      def usable?(slot)
        slot && slot.generation == custody.generation && custody.now < slot.ends_at
      end

      def build
        generation = custody.generation
        refusals = {}
        copies = []
        keys = @configuration.keys.filter_map { |key| native_key(key, copies, refusals) }
        native = Native::Client.new(@configuration.to_native(keys: keys))
        @refusals = refusals
        Slot.new(native, ends_at(copies, refusals), generation)
      ensure
        copies&.each(&:wipe)
      end

      # If a reading key is missing, objects under other keys can still be read.
      def native_key(key, copies, refusals)
        return key.to_native unless key.custodied?

        copies << (copy = key.copy)
        key.native_with(copy.bytes)
      rescue Error => e
        raise if key.equal?(@configuration.encryption_key)

        refusals[key.id] = e
        nil
      end

      # A key that was refused is requested again soon.
      def ends_at(copies, refusals)
        again = refusals.each_value.map { |error| custody.now + KeyCustody::RETRY_AFTER.fetch(error.retryable?) }
        [*copies.map(&:ends_at), *again].min
      end
    end
  end
end
