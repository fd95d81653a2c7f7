# frozen_string_literal: true

require "securerandom"
require_relative "../client"
require_relative "../configuration/confidential"
require_relative "store_address"

module EncryptedS3Service
  class Doctor
    # A service while it is examined: its settings, clients for it, and the probes that were stored through it.
    # @api private
    class ExaminedService
      include Confidential

      # Where probes lie in the bucket.
      PREFIX = "encrypted_s3_service-doctor"

      # @return [String] as in storage.yml
      attr_reader :name

      # @return [Hash{Symbol => Object}] the entry; it holds secrets
      attr_reader :options

      # @return [String] the folder of this examination's probes
      attr_reader :folder

      # @param name [String]
      # @param options [Hash{Symbol => Object}]
      def initialize(name, options)
        @name = name
        @options = options
        @folder = "#{PREFIX}/#{SecureRandom.hex(8)}"
        @probes = []
        @changes = {}
      end

      # What checks after this one use instead of what the entry has, so that one fault is not reported by all of them.
      # @param changes [Hash{Symbol => Object}]
      # @return [void]
      def go_on_with(**changes)
        @changes = @changes.merge(changes)
      end

      # @param changes [Hash{Symbol => Object}] settings that differ from the entry's
      # @return [Configuration]
      # @raise [ConfigurationError]
      def configuration(**changes) = Configuration.new(**@options, **@changes, **changes)

      # @return [Boolean] whether there can be a client for it
      def usable?
        configuration.to_native
        true
      rescue ConfigurationError
        false
      end

      # @param changes (see #configuration)
      # @return [Client] one that soon gives up
      # @raise [ConfigurationError]
      def client(**changes) = Client.new(configuration(retry_limit: 1, **changes))

      # @return [StoreAddress]
      def address = StoreAddress.new(configuration)

      # @param name [String]
      # @return [String] a key under which something is about to be stored
      def probe(name) = "#{folder}/#{name}".tap { |key| @probes |= [key] }

      # @param key [String] of a probe that is gone
      # @return [void]
      def gone(key) = @probes.delete(key)

      # Removes every probe.
      # @return [Array<String>] the keys that could not be removed
      def clean_up
        @probes.select do |key|
          client.delete(key)
          false
        rescue Error
          true
        end
      end

      private

      def public_attributes = { name: name }
    end
  end
end
