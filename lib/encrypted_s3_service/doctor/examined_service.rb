# frozen_string_literal: true

require "securerandom"
require "uri"
require_relative "../client"
require_relative "../configuration/confidential"
require_relative "bucket"

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
        @used = @uploads = false
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

      # @return [String] where it is, and the proxy of the entry on the way, for messages
      def place
        environment = ENV.values_at("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL").find { |value| !value.to_s.empty? }
        endpoint = configuration.endpoint || environment || "Amazon S3"
        # A proxy's URL may hold a password.
        proxy = URI(options[:http_proxy].to_s)
        proxy.host ? "#{endpoint} through the proxy #{proxy.host}:#{proxy.port}" : endpoint
      rescue URI::InvalidURIError
        endpoint
      end

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

      # @return [Bucket]
      # @raise [ConfigurationError]
      def bucket = Bucket.new(configuration(retry_limit: 1))

      # @param name [String]
      # @return [String] a key under which something is about to be stored
      def probe(name)
        @used = true
        "#{folder}/#{name}".tap { |key| @probes |= [key] }
      end

      # @param name [String]
      # @return [String] a key for an upload that is about to be begun and never completed
      def upload_probe(name)
        @uploads = true
        "#{folder}/#{name}"
      end

      # @param key [String] of a probe that is gone
      # @return [void]
      def gone(key) = @probes.delete(key)

      # Removes every probe: the objects, their versions and the marks of their deletion where the bucket keeps those,
      # and uploads that were begun.
      # @return [Array<String>] what could not be removed
      def clean_up
        left = @probes.select { |key| fails? { client.delete(key) } }
        left << "uploads that were begun under #{folder}" if @uploads && fails? { bucket.abort_uploads(folder) }
        left << "versions under #{folder}" if @used && versioned? && fails? { bucket.delete_versions(folder) }
        left
      end

      private

      def fails?
        yield
        false
      rescue Error
        true
      end

      # A bucket that does not say is taken for one without versions.
      def versioned?
        !bucket.state[:versioning].nil?
      rescue Error
        false
      end

      def public_attributes = { name: name }
    end
  end
end
