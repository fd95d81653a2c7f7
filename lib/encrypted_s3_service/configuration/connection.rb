# frozen_string_literal: true

require_relative "options"
require_relative "store_names"

module EncryptedS3Service
  class Configuration
    # Connection settings: those that Active Storage's S3 service passes to Amazon's SDK for Ruby, with the same names,
    # converted for the native client. Services with the same values share their connections.
    # @api private
    class Connection
      # Connection settings of an entry.
      NAMES = %i[
        region endpoint force_path_style use_accelerate_endpoint use_dualstack_endpoint use_fips_endpoint
        access_key_id secret_access_key session_token profile
        instance_profile_credentials_timeout instance_profile_credentials_retries
        http_open_timeout http_read_timeout http_idle_timeout http_proxy
        retry_limit max_attempts retry_mode ssl_ca_bundle ssl_ca_directory
        request_checksum_calculation response_checksum_validation compute_checksums
      ].freeze

      # When transport checksums are computed and verified.
      CHECKSUM_MODES = %w[when_supported when_required].freeze

      # How requests are retried. `legacy` is the former mode of Amazon's SDK for Ruby and means `standard` here.
      RETRY_MODES = %w[standard adaptive legacy].freeze

      # Seconds until a connection attempt fails, as in Amazon's SDK for Ruby.
      DEFAULT_OPEN_TIMEOUT = 15.0
      # Seconds without progress until an attempt fails. Amazon's SDK for Ruby has 60. This is less, so that a retry
      # fits into a minute.
      DEFAULT_READ_TIMEOUT = 20.0
      # Seconds until an unused connection is closed.
      DEFAULT_IDLE_TIMEOUT = 90.0
      # Attempts after the first one.
      DEFAULT_RETRY_LIMIT = 3

      ENDPOINT = %r{\Ahttps?://[^/\s?#@]+(/[^\s?#@]*)?\z}i
      PROXY = %r{\Ahttps?://([^/\s?#@]+@)?[^/\s?#@]+/?\z}i
      private_constant :ENDPOINT, :PROXY

      # @param settings [Options]
      # @raise [ConfigurationError]
      def initialize(settings)
        @settings = settings
        refuse_accelerated_paths
      end

      # @return [Hash{Symbol => Object}] frozen, including secrets
      def to_native
        { **address, **credentials, **http, **retries, **checksums }.freeze
      end

      # @return [Hash{Symbol => Object}] region and endpoint of AWS KMS, frozen
      def kms
        { kms_region: settings.string(:kms_region), kms_endpoint: url(:kms_endpoint, "https://kms.example.com") }.freeze
      end

      # @return [Array(Symbol, String), nil] the missing credential setting and the problem; nil when none is missing
      def half_a_credential
        id, secret, token = %i[access_key_id secret_access_key session_token].map { |name| settings.string(name) }
        return [:secret_access_key, "is missing, but access_key_id is set"] if id && !secret
        return [:access_key_id, "is missing, but secret_access_key is set"] if secret && !id

        [:access_key_id, "is missing, but session_token is set"] if token && !id
      end

      private

      attr_reader :settings

      def address
        { region: StoreNames.region(settings), endpoint: endpoint,
          force_path_style: settings.boolean(:force_path_style, false),
          accelerate: settings.boolean(:use_accelerate_endpoint, false),
          dual_stack: settings.boolean(:use_dualstack_endpoint, nil), fips: settings.boolean(:use_fips_endpoint, nil) }
      end

      def endpoint = url(:endpoint, "https://s3.example.com")

      def url(name, example)
        url = settings.string(name)
        return url if url.nil? || StoreNames.url?(url, ENDPOINT)

        settings.refuse name, "must be a URL like #{example}, without credentials"
      end

      def credentials
        retries = settings.integer(:instance_profile_credentials_retries, nil, 0..100)
        { **%i[access_key_id secret_access_key session_token profile].to_h { |name| [name, settings.string(name)] },
          instance_profile_timeout: settings.seconds(:instance_profile_credentials_timeout, nil),
          instance_profile_attempts: retries && (retries + 1) }
      end

      def http
        { connect_timeout: settings.seconds(:http_open_timeout, DEFAULT_OPEN_TIMEOUT),
          read_timeout: settings.seconds(:http_read_timeout, DEFAULT_READ_TIMEOUT),
          idle_timeout: settings.seconds(:http_idle_timeout, DEFAULT_IDLE_TIMEOUT),
          ca_bundle: settings.path(:ssl_ca_bundle), ca_directory: settings.path(:ssl_ca_directory), http_proxy: proxy }
      end

      # Messages do not quote the URL because it can contain a password. Amazon's SDK accepts a URI object as well.
      def proxy
        given = settings.raw(:http_proxy)
        proxy = defined?(URI::Generic) && given.is_a?(URI::Generic) ? given.to_s : settings.string(:http_proxy)
        return proxy if proxy.nil? || proxy.match?(PROXY)

        settings.refuse :http_proxy, "must be the URL of an HTTP proxy, like " \
                                     "http://user:password@proxy.example.com:3128"
      end

      def retries
        limit = settings.integer(:retry_limit, nil, 0..100)
        attempts = settings.integer(:max_attempts, nil, 1..101)
        if limit && attempts && limit + 1 != attempts
          settings.refuse :max_attempts, "includes the first attempt and must be retry_limit + 1, or be left out"
        end
        mode = settings.choice(:retry_mode, "standard", RETRY_MODES)
        { max_attempts: attempts || ((limit || DEFAULT_RETRY_LIMIT) + 1),
          retry_mode: mode == "legacy" ? "standard" : mode }
      end

      # `compute_checksums` is the older name of the same choice.
      def checksums
        default = settings.boolean(:compute_checksums, true) ? "when_supported" : "when_required"
        { request_checksum_calculation: settings.choice(:request_checksum_calculation, default, CHECKSUM_MODES),
          response_checksum_validation:
            settings.choice(:response_checksum_validation, "when_supported", CHECKSUM_MODES) }
      end

      # Transfer acceleration works only for Amazon's endpoints with the bucket in the host name.
      def refuse_accelerated_paths
        return unless settings.boolean(:use_accelerate_endpoint, false)

        settings.refuse :use_accelerate_endpoint, "cannot be used with endpoint" if endpoint
        return unless settings.boolean(:force_path_style, false)

        settings.refuse :use_accelerate_endpoint, "cannot be used with force_path_style"
      end
    end
  end
end
