# frozen_string_literal: true

require "securerandom"
require "uri"
require_relative "../client"
require_relative "../configuration/confidential"
require_relative "bucket"

module EncryptedS3Service
  class Doctor
    # The service under test: its settings, clients for it, and the test objects (probes) stored through it.
    # @api private
    class ExaminedService
      include Confidential

      # Folder of all probes in the bucket.
      PREFIX = "encrypted_s3_service-doctor"

      # @return [Hash{Symbol => Object}] settings that replace the entry's key with a new one
      def self.temporary_key
        { encryption_key: EncryptionKey.generate, encryption_key_id: nil, encryption_key_passphrase: nil,
          kms_key_id: nil, kms_encryption_context: nil }
      end

      # @return [String] the service's name in storage.yml
      attr_reader :name

      # @return [Hash{Symbol => Object}] the entry, including secrets
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

      # Changes settings for the following checks, so that they do not all fail for the same reason.
      # @param changes [Hash{Symbol => Object}]
      # @return [void]
      def continue_with(**changes)
        @changes = @changes.merge(changes)
      end

      # @param changes [Hash{Symbol => Object}] settings that differ from the entry's
      # @return [Configuration]
      # @raise [ConfigurationError]
      def configuration(**changes) = Configuration.new(**@options, **@changes, **changes)

      # @return [String] endpoint, and proxy of the entry or of the environment, for messages
      def place
        environment = ENV.values_at("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL").find { |value| !value.to_s.empty? }
        endpoint = configuration.endpoint || environment
        proxy = proxy_to(endpoint || "https://#{options[:bucket]}.s3.amazonaws.com")
        [endpoint || "Amazon S3", *proxy].join(" through the proxy ")
      end

      # @return [Boolean] whether the settings are sufficient for a client
      def usable?
        configuration.to_native_without_keys
        true
      rescue ConfigurationError
        false
      end

      # @param changes (see #configuration)
      # @return [Client] a client with few retries
      # @raise [ConfigurationError]
      def client(**changes) = Client.new(configuration(**few_retries, **changes))

      # @return [Bucket]
      # @raise [ConfigurationError]
      def bucket = Bucket.new(configuration(**few_retries))

      # @return [String, nil] the folder that holds the files instead of a bucket
      def root = configuration.root

      # @param name [String]
      # @return [String] the key for a new probe
      def probe(name)
        @used = true
        "#{folder}/#{name}".tap { |key| @probes |= [key] }
      end

      # @param name [String]
      # @return [String] the key for a multipart upload that is never completed
      def upload_probe(name)
        @uploads = true
        "#{folder}/#{name}"
      end

      # @param key [String] key of a deleted probe
      # @return [void]
      def gone(key) = @probes.delete(key)

      # Deletes all probes: objects, versions and delete markers, and multipart uploads.
      # @return [Array<String>] everything that could not be deleted
      def clean_up
        left = @probes.select { |key| fails? { client.delete(key) } }
        left += left.map { |key| "#{key}#{Configuration::SEGMENTS_SUFFIX}" }.select { |key| segment_map?(key) }
        left << "multipart uploads under #{folder}" if @uploads && fails? { bucket.abort_uploads(folder) }
        left << "versions under #{folder}" if @used && versioned? && fails? { bucket.delete_versions(folder) }
        left
      end

      private

      def segment_map?(key)
        client.segment_map?(key)
      rescue Error
        false
      end

      # A folder needs no connection and none of its settings.
      def few_retries = root ? {} : { retry_limit: 1 }

      def fails?
        yield
        false
      rescue Error
        true
      end

      # A bucket of unknown state is treated as unversioned.
      def versioned?
        !bucket.state[:versioning].nil?
      rescue Error
        false
      end

      # Host and port only: a proxy's URL can contain a password.
      def proxy_to(address)
        given = options[:http_proxy].to_s
        proxy = given.empty? ? URI(address).find_proxy : URI(given)
        "#{proxy.host}:#{proxy.port}#{" of the environment" if given.empty?}" if proxy&.host
      rescue URI::Error
        nil
      end

      def public_attributes = { name: name }
    end
  end
end
