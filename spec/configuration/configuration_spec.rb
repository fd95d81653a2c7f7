# frozen_string_literal: true

require "json"
require "pathname"
require "yaml"

RSpec.describe EncryptedS3Service::Configuration do
  let(:key) { "0123456789abcdef0123456789abcdef" }
  let(:minimum) { { bucket: "files", encryption_key: key } }

  def native(**options) = described_class.new(**minimum, **options).to_native

  def refusal(**options)
    described_class.new(**minimum, **options)
    nil
  rescue EncryptedS3Service::ConfigurationError => e
    expect(e.code).to eq("configuration")
    e.message
  end

  it "passes every setting to the extension, with defaults" do
    expect(native).to eq(
      root: nil, bucket: "files", region: nil, endpoint: nil, force_path_style: false,
      expected_bucket_owner: nil,
      accelerate: false, dual_stack: nil, fips: nil,
      access_key_id: nil, secret_access_key: nil, session_token: nil, profile: nil,
      instance_profile_timeout: nil, instance_profile_attempts: nil,
      connect_timeout: 15.0, read_timeout: 20.0, idle_timeout: 90.0, max_attempts: 4, retry_mode: "standard",
      ca_bundle: nil, ca_directory: nil, http_proxy: nil, kms_region: nil, kms_endpoint: nil,
      request_checksum_calculation: "when_supported", response_checksum_validation: "when_supported",
      keys: [{ id: OpenSSL::HMAC.hexdigest("SHA256", key, "encrypted_s3_service/key-id")[0, 16], key: key,
               kind: "aes" }],
      commitment_policy: nil, security_profile: nil, instruction_file_suffix: nil, place_binding: "verify",
      recovery_key: nil, recovery_keys: [],
      multipart_threshold: 16_777_216, part_size: 5_242_880, concurrency: 10, memory_limit: 16_777_216,
      object_settings: {},
      segment_index: true
    )
  end

  it "accepts the reference gem's entry unchanged" do
    entry = YAML.safe_load(<<~YAML, symbolize_names: true)
      access_key_id: AKIDEXAMPLE
      secret_access_key: wJalrXUtnFEMI
      region: eu-central-1
      bucket: files
      encryption_key: "base64:yMnKy8zNzs/Q0dLT1NXW19jZ2tvc3d7f4OHi4+Tl5uc="
      upload:
        cache_control: private
    YAML
    expect(described_class.new(**entry).to_native)
      .to include(access_key_id: "AKIDEXAMPLE", secret_access_key: "wJalrXUtnFEMI", region: "eu-central-1",
                  keys: [include(key: (200..231).to_a.pack("C*"))])
  end

  it "accepts the settings of Active Storage's S3 service under their names" do
    expect(native(
             endpoint: "https://minio.example.com:9000", region: "eu", force_path_style: true, access_key_id: "a",
             secret_access_key: "b", session_token: "c", profile: "p", http_open_timeout: 2, http_read_timeout: 3.5,
             retry_limit: 0, ssl_ca_bundle: Pathname("/etc/ca.pem"), request_checksum_calculation: "when_required",
             response_checksum_validation: "when_required", public: false
           )).to include(
             endpoint: "https://minio.example.com:9000", region: "eu", force_path_style: true, access_key_id: "a",
             secret_access_key: "b", session_token: "c", profile: "p", connect_timeout: 2.0, read_timeout: 3.5,
             max_attempts: 1, ca_bundle: "/etc/ca.pem", request_checksum_calculation: "when_required",
             response_checksum_validation: "when_required"
           )
  end

  it "accepts the settings of uploads and objects under `upload`" do
    configuration = described_class.new(**minimum, upload: {
                                          multipart_threshold: 52_428_800, part_size: 10_485_760, concurrency: 2,
                                          acl: "private", cache_control: "no-store", storage_class: "STANDARD_IA",
                                          server_side_encryption: "aws:kms", ssekms_key_id: "arn:x", tagging: "a=b"
                                        })
    expect(configuration.to_native).to include(multipart_threshold: 52_428_800, part_size: 10_485_760, concurrency: 2)
    expect(configuration.object_settings).to eq(
      "acl" => "private", "cache_control" => "no-store", "storage_class" => "STANDARD_IA",
      "server_side_encryption" => "aws:kms", "ssekms_key_id" => "arn:x", "tagging" => "a=b"
    )
  end

  it "converts the strings of ERB and the environment" do
    expect(native(force_path_style: "true", retry_limit: "5", http_open_timeout: "2.5", memory_limit: "1048576",
                  upload: { "part_size" => "5242880", "concurrency" => "1" }))
      .to include(force_path_style: true, max_attempts: 6, connect_timeout: 2.5, memory_limit: 1_048_576,
                  part_size: 5_242_880, concurrency: 1)
  end

  it "treats an empty string as a missing setting" do
    expect(native(endpoint: "", session_token: "", retry_limit: "", force_path_style: "", upload: ""))
      .to include(endpoint: nil, session_token: nil, max_attempts: 4, force_path_style: false)
  end

  it "accepts the buckets, regions and endpoints of all kinds of stores" do
    ["Old_Bucket.of-2006", "tenant:bucket", "arn:aws:s3:eu-central-1:123456789012:accesspoint/files"].each do |bucket|
      expect(native(bucket: bucket)).to include(bucket: bucket)
    end
    %w[auto RegionOne eu_west.2].each { |region| expect(native(region: region)).to include(region: region) }
    %w[http://[::1]:9000 HTTPS://s3_store.example.com/path https://10.0.0.1].each do |endpoint|
      expect(native(endpoint: endpoint)).to include(endpoint: endpoint)
    end
  end

  describe "part sizes" do
    it "uses the smallest parts of S3, with any multipart threshold of a migrated entry" do
      expect(native(upload: { multipart_threshold: 6_000_000 }))
        .to include(multipart_threshold: 6_000_000, part_size: 5_242_880)
    end

    it "never uses parts smaller than S3 accepts, nor a multipart upload of a single part" do
      expect(native(upload: { multipart_threshold: 1000 }))
        .to include(multipart_threshold: 5_242_880, part_size: 5_242_880)
    end

    it "refuses a part size above the threshold if both are given" do
      expect(refusal(upload: { multipart_threshold: 6_000_000, part_size: 7_000_000 }))
        .to eq("upload.part_size must not be larger than multipart_threshold")
    end
  end

  describe "invalid settings, by name" do
    {
      { buckett: "x" } => "buckett is not a setting of EncryptedS3. Did you mean bucket?",
      { encription_key: "x" } => "encription_key is not a setting of EncryptedS3. Did you mean encryption_key?",
      { wire_trace: true } => "wire_trace is not a setting of EncryptedS3",
      { upload: { storage_clas: "x" } } => "upload.storage_clas is not a setting of EncryptedS3. " \
                                           "Did you mean storage_class?",
      { upload: "fast" } => "upload must be a Hash of settings, not String",
      { retry_limit: "abc" } => "retry_limit must be a whole number",
      { retry_limit: 1.5 } => "retry_limit must be a whole number",
      { retry_limit: -1 } => "retry_limit must be from 0 to 100, not -1",
      { force_path_style: "yes" } => "force_path_style must be true or false",
      { http_read_timeout: "soon" } => "http_read_timeout must be a number of seconds above 0",
      { http_open_timeout: 0 } => "http_open_timeout must be a number of seconds above 0",
      { http_open_timeout: true } => "http_open_timeout must be a number of seconds above 0",
      { region: 5 } => "region must be a String (quote it in YAML), not Integer",
      { region: false } => "region must be a String (quote it in YAML), not FalseClass",
      { region: ["x"] } => "region must be a String, not Array",
      { region: "eu central-1" } => "region must be the name of a region, like eu-central-1",
      { region: "s3.example.com/" } => "region must be the name of a region, like eu-central-1",
      { bucket: "files/contracts" } => "bucket must be the name of a bucket alone. A folder in the bucket is set by " \
                                       "prefix",
      { bucket: "s3://files" } => "bucket must be the name of a bucket alone. A folder in the bucket is set by prefix",
      { bucket: "files " } => "bucket must be the name of a bucket alone. A folder in the bucket is set by prefix",
      { endpoint: "https://s3.example.com:99999" } => "endpoint must be a URL like https://s3.example.com, without " \
                                                      "credentials",
      { endpoint: "https://münchen.example" } => "endpoint must be a URL like https://s3.example.com, without " \
                                                 "credentials",
      { region: "a\nb" } => "region must be valid UTF-8 without line breaks",
      { region: "\xFF" } => "region must be valid UTF-8 without line breaks",
      { endpoint: "s3.example.com" } => "endpoint must be a URL like https://s3.example.com, without credentials",
      { endpoint: "https://me:pw@s3.example.com" } => "endpoint must be a URL like https://s3.example.com, " \
                                                      "without credentials",
      { request_checksum_calculation: "never" } => "request_checksum_calculation must be one of " \
                                                   "when_supported, when_required",
      { memory_limit: 10 } => "memory_limit must be at least 1048576, not 10",
      { upload: { part_size: 5_242_879 } } => "upload.part_size must be from 5242880 to 5368709120, not 5242879",
      { upload: { concurrency: 0 } } => "upload.concurrency must be from 1 to 64, not 0",
      { access_key_id: "a" } => "secret_access_key is missing, but access_key_id is set",
      { secret_access_key: "s3cret" } => "access_key_id is missing, but secret_access_key is set",
      { session_token: "s3cret" } => "access_key_id is missing, but session_token is set",
      { public: "yes" } => "public must be true or false",
      { bucket: "" } => "bucket is missing",
      { bucket: nil } => "bucket is missing"
    }.each do |options, message|
      it "include #{options.inspect}" do
        expect(refusal(**options)).to eq(message)
      end
    end

    it "include a missing key, and the error says how to make one" do
      expect([nil, "", "base64:"].map { |blank| refusal(encryption_key: blank) })
        .to all(start_with("encryption_key is missing. Make one with: ruby -r"))
    end

    it "are never quoted if they are secret" do
      wrong = [{ encryption_key: "s3cret" }, { encryption_key: :s3cret }, { secret_access_key: ["s3cret"] },
               { access_key_id: "a", secret_access_key: "s3cret\n" }, { session_token: { s3cret: 1 } }]
      messages = wrong.map { |options| refusal(**options) }
      expect(messages).to all(be_a(String))
      expect(messages.join).not_to include("s3cret")
    end
  end

  describe "where SECRET_KEY_BASE_DUMMY is set, as when an image's assets are precompiled" do
    around do |example|
      ENV["SECRET_KEY_BASE_DUMMY"] = "1"
      example.run
    ensure
      ENV.delete("SECRET_KEY_BASE_DUMMY")
    end

    it "accepts a missing key or bucket until it is used" do
      without_key = described_class.new(bucket: "files")
      without_bucket = described_class.new(encryption_key: key)
      expect([without_key, without_bucket]).to all(have_attributes(complete?: false))
      expect { without_key.to_native }
        .to raise_error(EncryptedS3Service::ConfigurationError, /encryption_key is missing/)
      expect { without_bucket.to_native }.to raise_error(EncryptedS3Service::ConfigurationError, "bucket is missing")
    end

    it "still refuses invalid settings" do
      expect(refusal(encryption_key: "short")).to include("exactly 32 bytes")
      expect(refusal(buckett: "x")).to include("Did you mean bucket?")
    end
  end

  it "does not change the given hash or nested ones, because Rails builds several services from one" do
    entry = { **minimum, upload: { multipart_threshold: 6_000_000, cache_control: +"private" } }
    copy = Marshal.load(Marshal.dump(entry))
    first, second = Array.new(2) { described_class.new(**entry).to_native }
    expect(entry).to eq(copy)
    expect(entry[:upload][:cache_control]).not_to be_frozen
    expect(first).to eq(second)
  end

  it "is frozen" do
    expect(described_class.new(**minimum)).to be_frozen
  end

  it "shows no secret in any text that Ruby or Rails makes of it" do
    configuration = described_class.new(**minimum, access_key_id: "AKID", secret_access_key: "s3cret",
                                                   session_token: "t0ken")
    text = [configuration.inspect, configuration.to_s, configuration.to_json, [configuration].inspect].join
    expect(text).to include("files")
    expect(text).not_to match(/s3cret|t0ken|#{key}/)
    expect { Marshal.dump(configuration) }.to raise_error(TypeError)
    expect { YAML.dump(configuration) }.to raise_error(TypeError)
  end
end
