# frozen_string_literal: true

# Options that an entry of Active Storage's S3 service may have: each is accepted, or refused with the reason.
RSpec.describe EncryptedS3Service::Configuration, "with an option of S3Service" do
  let(:minimum) { { bucket: "files", encryption_key: "0123456789abcdef0123456789abcdef" } }

  def native(**options) = described_class.new(**minimum, **options).to_native

  def refusal(**options)
    described_class.new(**minimum, **options)
    nil
  rescue EncryptedS3Service::ConfigurationError => e
    e.message
  end

  it "accepts the options that have a meaning" do
    expect(native(
             use_accelerate_endpoint: true, use_dualstack_endpoint: "true", use_fips_endpoint: false,
             http_idle_timeout: 5, http_proxy: "http://proxy:3128", ssl_ca_directory: "/etc/ssl/certs",
             retry_mode: "adaptive", max_attempts: 5, instance_profile_credentials_timeout: 2,
             instance_profile_credentials_retries: 3, compute_checksums: false
           )).to include(
             accelerate: true, dual_stack: true, fips: false, idle_timeout: 5.0, http_proxy: "http://proxy:3128",
             ca_directory: "/etc/ssl/certs", retry_mode: "adaptive", max_attempts: 5, instance_profile_timeout: 2.0,
             instance_profile_attempts: 4, request_checksum_calculation: "when_required"
           )
  end

  it "accepts the names of Amazon's modes" do
    expect(native(retry_mode: "legacy")).to include(retry_mode: "standard")
    expect(native(retry_mode: :standard, retry_limit: 4, max_attempts: 5)).to include(max_attempts: 5)
    expect(native(compute_checksums: false, request_checksum_calculation: "when_supported"))
      .to include(request_checksum_calculation: "when_supported")
  end

  it "accepts options that state the behaviour of this gem, and empty ones" do
    entry = { ssl_verify_peer: true, stub_responses: false, http_wire_trace: "false", signature_version: "v4",
              logger: nil, credentials: "", validate_params: true }
    expect(native(**entry)).to eq(native)
  end

  {
    { ssl_verify_peer: false } => /\Assl_verify_peer cannot be false: .*ssl_ca_bundle/,
    { stub_responses: true } => /\Astub_responses cannot be true: .*Disk service/,
    { logger: Object.new } => /\Alogger is not supported: requests are not logged/,
    { http_wire_trace: true } => /\Ahttp_wire_trace is not supported: .*signatures/,
    { credentials: Object.new } => /\Acredentials needs Ruby objects.* access_key_id/,
    { ssl_ca_store: Object.new } => /\Assl_ca_store needs Ruby objects.*ssl_ca_bundle/,
    { default_digest_type: "crc32" } => /\Adefault_digest_type must be one of md5, sha256/,
    { signature_version: "s3" } => /\Asignature_version must be v4/,
    { retry_backoff: 3 } => /\Aretry_backoff is not supported: .*pauses/,
    { user_agent_suffix: "x" } => /\Auser_agent_suffix is an option of Amazon's SDK for Ruby/,
    { upload: { sse_customer_key: "s3cret" } } => /\Aupload\.sse_customer_key is not supported: every request/,
    { upload: { content_disposition: "inline" } } => /\Aupload\.content_disposition would reveal/,
    { upload: { object_lock_mode: "GOVERNANCE" } } => /\Aupload\.object_lock_mode .*default retention/,
    { retry_limit: 3, max_attempts: 3 } => /\Amax_attempts includes the first attempt/,
    { spool_folder: "/var/tmp" } => /\Aspool_folder is no longer needed: .*without temporary files. Remove it/,
    { retry_mode: "never" } => /\Aretry_mode must be one of standard, adaptive, legacy/,
    { use_accelerate_endpoint: true, endpoint: "https://minio.example" } =>
      /\Ause_accelerate_endpoint cannot be used with endpoint/,
    { use_accelerate_endpoint: true, force_path_style: true } =>
      /\Ause_accelerate_endpoint cannot be used with force_path_style/
  }.each do |options, message|
    it "refuses #{options.keys.join(" and ")} with a reason (#{message.source[2, 40]}…)" do
      expect(refusal(**options)).to match(message)
      expect(refusal(**options)).not_to include("s3cret")
    end
  end

  it "has an answer for every option of Amazon's client other than `is not a setting`" do
    require "aws-sdk-s3"
    client = Aws::S3::Client.new(region: "x", stub_responses: true, access_key_id: "a", secret_access_key: "b")
    # Settings that the SDK's code makes for itself are no options.
    own = %i[api endpoint_cache retry_quota client_rate_limiter regional_endpoint sigv4_name sigv4_region protocol
             clock_skew http_idle_timeout defaults_mode_config_resolver
             stubs stubs_mutex api_requests api_requests_mutex]
    options = client.config.members - own - described_class::NAMES
    unanswered = options.reject { |name| described_class::ForeignNames::REASONS.key?(name) }
    expect(unanswered).to eq([])
  end
end
