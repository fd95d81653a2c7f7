# frozen_string_literal: true

module EncryptedS3Service
  class Configuration
    # Settings that this service refuses, with the reasons: options of Active Storage's S3 service, which are those of
    # `Aws::S3::Client` and `Aws::S3::Object#put`, and former settings of this service.
    # @api private
    module ForeignNames
      SDK = "is an option of Amazon's SDK for Ruby, which this gem does not use. Remove it"
      OBJECTS = "needs Ruby objects, which the native client cannot use"
      CREDENTIALS = "#{OBJECTS}. Set access_key_id and secret_access_key, or profile (with source_profile, role_arn, " \
                    "credential_process or SSO in Amazon's configuration file)".freeze
      LOGS = "is not supported: requests are not logged, because they contain signatures. Subscribe to the events of " \
             "Active Storage (ActiveSupport::Notifications)"
      PAUSES = "is not supported: the client chooses the pauses between attempts. Set retry_limit and retry_mode"
      PLAINTEXT = "would reveal facts about the plaintext to the store. Active Storage keeps them in the database"
      CUSTOMER_KEYS = "is not supported: every request would contain the key, and the store would see it. " \
                      "Files are encrypted with encryption_key before upload. Set server_side_encryption for a " \
                      "second encryption by the store"
      GRANTS = "is not supported. Set acl, or better a policy of the bucket"
      OBJECT_LOCK = "is not supported for single objects. Set a default retention of the bucket"
      private_constant :SDK, :OBJECTS, :CREDENTIALS, :LOGS, :PAUSES, :PLAINTEXT, :CUSTOMER_KEYS, :GRANTS, :OBJECT_LOCK

      # Values that match this service's behaviour.
      WITHOUT_EFFECT = {
        ssl_verify_peer: [true, "true"], stub_responses: [false, "false"], http_wire_trace: [false, "false"],
        signature_version: %w[v4], s3_us_east_1_regional_endpoint: %w[regional],
        correct_clock_skew: [true, "true"],
        follow_redirects: [true, "true"], validate_params: [true, "true"], convert_params: [true, "true"],
        disable_host_prefix_injection: [false, "false"], require_https_for_sse_cpk: [true, "true"],
        defaults_mode: %w[legacy], endpoint_discovery: [false, "false"], client_side_monitoring: [false, "false"]
      }.freeze

      # Reasons for refusing all other values.
      REASONS = {
        ssl_verify_peer: "cannot be false: an unverified certificate gives no protection. Set the certificate " \
                         "of the store's authority with ssl_ca_bundle or ssl_ca_directory",
        ssl_ca_store: "#{OBJECTS}. Set ssl_ca_bundle or ssl_ca_directory",
        ssl_cert: "is not supported: the client does not present a certificate",
        ssl_key: "is not supported: the client does not present a certificate",
        ssl_timeout: "is part of http_open_timeout",
        http_continue_timeout: "is not supported: requests do not wait for 100 Continue",
        stub_responses: "cannot be true: responses cannot be stubbed. Use Rails' Disk service in tests",
        credentials: CREDENTIALS, access_grants_credentials_provider: CREDENTIALS, token_provider: OBJECTS,
        logger: LOGS, log_level: LOGS, log_formatter: LOGS, http_wire_trace: LOGS,
        retry_backoff: PAUSES, retry_base_delay: PAUSES, retry_jitter: PAUSES, retry_max_delay: PAUSES,
        signature_version: "must be v4: other signatures are not supported",
        s3_us_east_1_regional_endpoint: "must be regional: region us-east-1 has its own endpoint here",
        s3_use_arn_region: "is not supported: set region to the region of the access point",
        follow_redirects: "cannot be false: redirects are never followed. Set the right region",
        client: "is not supported: the service creates its own client",
        sse_customer_algorithm: CUSTOMER_KEYS, sse_customer_key: CUSTOMER_KEYS, sse_customer_key_md5: CUSTOMER_KEYS,
        content_disposition: PLAINTEXT, content_encoding: PLAINTEXT, content_language: PLAINTEXT,
        content_type: PLAINTEXT, metadata: PLAINTEXT, content_md5: PLAINTEXT, checksum_sha256: PLAINTEXT,
        checksum_algorithm: "is not supported. Set request_checksum_calculation",
        expires: "is not supported. Set cache_control",
        grant_full_control: GRANTS, grant_read: GRANTS, grant_read_acp: GRANTS, grant_write_acp: GRANTS,
        object_lock_mode: OBJECT_LOCK, object_lock_retain_until_date: OBJECT_LOCK,
        object_lock_legal_hold_status: OBJECT_LOCK,
        request_payer: "is not supported", website_redirect_location: "is not supported",
        thread_count: "is called concurrency here", executor: OBJECTS,
        spool_folder: "is no longer needed: large objects are read without temporary files. Remove it",
        **%i[
          access_grants account_id active_endpoint_cache adaptive_retry_wait_to_fill api
          auth_scheme_preference client_side_monitoring client_side_monitoring_client_id
          client_side_monitoring_host client_side_monitoring_port client_side_monitoring_publisher
          convert_params correct_clock_skew defaults_mode disable_host_prefix_injection
          disable_request_compression disable_s3_express_session_auth endpoint_cache_max_entries
          endpoint_cache_max_threads endpoint_cache_poll_interval endpoint_discovery endpoint_provider
          event_stream_handler express_credentials_provider ignore_configured_endpoint_urls
          input_event_stream_handler on_chunk_received on_chunk_sent output_event_stream_handler plugins
          raise_response_errors request_min_compression_size_bytes require_https_for_sse_cpk
          s3_disable_multiregion_access_points sdk_ua_app_id sigv4_signer sigv4a_signing_region_set
          telemetry_provider unsigned_operations user_agent_frameworks user_agent_suffix validate_params
        ].to_h { |name| [name, SDK] }
      }.freeze

      # @param name [Symbol] an unknown setting
      # @param value [Object]
      # @return [Boolean] whether the setting can be ignored
      def self.without_effect?(name, value)
        return false unless REASONS.key?(name)

        value.nil? || value == "" || WITHOUT_EFFECT.fetch(name, []).include?(value.is_a?(Symbol) ? value.to_s : value)
      end
    end
  end
end
