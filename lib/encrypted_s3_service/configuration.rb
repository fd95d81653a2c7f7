# frozen_string_literal: true

require_relative "configuration/confidential"
require_relative "keys/encryption_key"
require_relative "errors"
require_relative "keys/keyring"
require_relative "keys/recovery_keys"

module EncryptedS3Service
  # The validated settings of one service: a `storage.yml` entry without `service:`. It is frozen. Creating it makes no
  # request and does not change the given Hash.
  #
  # The settings have the names of Active Storage's own S3 service, so an entry is converted by changing its `service:`
  # line and adding an `encryption_key`.
  class Configuration
    # These files reopen the class. Required outside of it, they would trigger its autoload.
    require_relative "configuration/connection"
    require_relative "configuration/digest_type"
    require_relative "configuration/folder"
    require_relative "configuration/foreign_names"
    require_relative "configuration/missing_key"
    require_relative "configuration/options"
    require_relative "configuration/prefix"
    require_relative "configuration/store_names"
    require_relative "configuration/tolerance"

    include Confidential

    MEBIBYTE = 1 << 20
    GIBIBYTE = 1 << 30
    private_constant :MEBIBYTE, :GIBIBYTE

    # Settings of an entry about its key in AWS KMS. They cannot be combined with a writing key of another kind.
    KMS_NAMES = %i[kms_key_id kms_encryption_context].freeze

    # Settings of an entry.
    NAMES = %i[
      bucket root prefix
      encryption_key encryption_key_id encryption_key_passphrase decryption_keys recovery_keys
      kms_key_id kms_region kms_endpoint kms_encryption_context kms_allow_decrypt_with_any_cmk
      commitment_policy security_profile envelope_location instruction_file_suffix place_binding
      segment_index memory_limit default_digest_type public upload
    ].concat(Connection::NAMES).freeze

    # Settings under `upload:` that are sent with every object.
    OBJECT_NAMES = %i[
      acl bucket_key_enabled cache_control expected_bucket_owner storage_class server_side_encryption
      ssekms_encryption_context ssekms_key_id tagging
    ].freeze

    # Settings under `upload:`.
    UPLOAD_NAMES = (%i[multipart_threshold part_size concurrency] + OBJECT_NAMES).freeze

    # Values of `commitment_policy`, as in Amazon's SDKs: which formats are written and read.
    COMMITMENT_POLICIES = %w[
      forbid_encrypt_allow_decrypt require_encrypt_allow_decrypt require_encrypt_require_decrypt
    ].freeze

    # Values of `security_profile`, as in Amazon's SDKs: whether legacy objects are read.
    SECURITY_PROFILES = %w[v2 v2_and_legacy v3 v3_and_legacy].freeze

    # Values of `place_binding`: the handling of objects that were swapped, renamed or copied.
    PLACE_BINDINGS = %w[off verify require].freeze

    # Default of `place_binding`.
    DEFAULT_PLACE_BINDING = "verify"

    # Values of `envelope_location`.
    ENVELOPE_LOCATIONS = %w[metadata instruction_file].freeze

    # Suffix of an object's key that names its instruction file, as in Amazon's SDKs.
    DEFAULT_INSTRUCTION_FILE_SUFFIX = ".instruction"

    # Suffix of an object's key that names its segment map (docs/format.md, 3). No other object may have such a key.
    SEGMENTS_SUFFIX = ".segments"

    # Allowed bytes per part of a multipart upload (S3's limits).
    PART_SIZES = ((5 * MEBIBYTE)..(5 * GIBIBYTE))

    # Bytes up to which a file is uploaded in one request.
    DEFAULT_MULTIPART_THRESHOLD = 16 * MEBIBYTE
    # Bytes per part. Many small parts at once are faster than a few large ones, because stores limit the speed of each
    # connection, to about 20 MB/s.
    DEFAULT_PART_SIZE = 5 * MEBIBYTE
    # Parts uploaded at once.
    DEFAULT_CONCURRENCY = 10
    # Bytes up to which an object is decrypted in memory.
    DEFAULT_MEMORY_LIMIT = 16 * MEBIBYTE

    # Smallest `memory_limit` in bytes. Files of up to this size never have a segment map.
    SMALLEST_MEMORY_LIMIT = MEBIBYTE

    # @return [String, nil] nil with {#root}, or if it is missing and {#complete?} is false
    attr_reader :bucket

    # @return [String, nil] absolute path of the folder that holds the objects; nil with {#bucket}
    attr_reader :root

    # @return [String, nil] nil uses the environment and Amazon's configuration files
    attr_reader :region

    # @return [String, nil] the URL of an S3-compatible store; nil means Amazon
    attr_reader :endpoint

    # @return [Prefix] the folder of all objects in the bucket
    # @api private
    attr_reader :prefix

    # @return [EncryptionKey, KmsKey, nil] nil only if it is missing and {#complete?} is false
    attr_reader :encryption_key

    # @return [Integer] minimum bytes per part of a multipart upload; larger if 10,000 parts would not hold the file
    attr_reader :part_size

    # @return [Integer] bytes of the largest object that is decrypted in memory; larger ones have segment maps
    attr_reader :memory_limit

    # @return [Symbol] `:md5` or `:sha256`: the digest of the checksums that Active Storage computes for new files
    attr_reader :default_digest_type

    # @return [Hash{String => String}] settings sent with every object
    attr_reader :object_settings

    # @return [Hash{Symbol => Object}] the given settings, including secrets
    # @api private
    attr_reader :options

    # @return [String, nil] the missing or wrong setting, if that is tolerated
    # @api private
    attr_reader :problem

    # @param tolerant [Boolean] whether a missing bucket, key or half of the credentials raises only on first use
    # @param problem [String, nil] the error of the first use, when wrong settings were left out of the options
    # @param options [Hash{Symbol => Object}] the entry; see {NAMES} and {UPLOAD_NAMES}
    # @option options [String] :bucket
    # @option options [String, Pathname] :root instead of `bucket`: a folder of this machine that holds the objects, for
    #   development and tests. Settings of a bucket and of its connection are then refused
    # @option options [String] :region
    # @option options [String] :endpoint URL of an S3-compatible store
    # @option options [String] :prefix folder of all objects of the service in the bucket
    # @option options [Boolean] :force_path_style (false) put the bucket into the path instead of the host name
    # @option options [String] :access_key_id default: environment, profile, web identity, container or instance role
    # @option options [String] :secret_access_key
    # @option options [String] :session_token
    # @option options [String] :profile profile in Amazon's configuration files
    # @option options [Numeric] :instance_profile_credentials_timeout seconds for a response of the metadata service
    # @option options [Integer] :instance_profile_credentials_retries attempts after the first
    # @option options [Boolean] :use_accelerate_endpoint (false)
    # @option options [Boolean] :use_dualstack_endpoint (as the environment says)
    # @option options [Boolean] :use_fips_endpoint (as the environment says)
    # @option options [Numeric] :http_open_timeout (15) seconds
    # @option options [Numeric] :http_read_timeout (20) seconds without progress, in either direction
    # @option options [Numeric] :http_idle_timeout (90) seconds until an unused connection is closed
    # @option options [String, URI] :http_proxy (HTTPS_PROXY, HTTP_PROXY and NO_PROXY of the environment)
    # @option options [Integer] :retry_limit (3) attempts after the first; `max_attempts` includes the first
    # @option options [String] :retry_mode ("standard") or `"adaptive"`
    # @option options [String] :ssl_ca_bundle path of a PEM file
    # @option options [String] :ssl_ca_directory path of a folder of PEM files
    # @option options [String] :request_checksum_calculation ("when_supported") or `"when_required"`
    # @option options [String] :response_checksum_validation ("when_supported") or `"when_required"`
    # @option options [String, Pathname, OpenSSL::PKey::RSA] :encryption_key see {EncryptionKey}
    # @option options [String] :encryption_key_id (derived from the key) `""` for none
    # @option options [String] :encryption_key_passphrase passphrase of an encrypted RSA key in PEM
    # @option options [Hash, Array] :decryption_keys reading keys: a Hash by id, or a list with derived ids. Each is a
    #   value as in `encryption_key`, or a Hash of `key`, `passphrase` and (in a list) `id`. AES keys can also have 16
    #   or 24 bytes, with the prefix `base64:`. A key in AWS KMS is `kms:` and its id, or a Hash of `kms_key_id` and
    #   `kms_encryption_context`
    # @option options [String] :kms_key_id instead of `encryption_key`: id, ARN or alias of a key in AWS KMS, which
    #   makes the data keys of new objects
    # @option options [String] :kms_region (the region of the ARN, else `region`)
    # @option options [String] :kms_endpoint URL of AWS KMS or of a compatible server; nil means Amazon
    # @option options [Hash] :kms_encryption_context strings that KMS binds to each data key and writes into its log. An
    #   object with another context is refused
    # @option options [Boolean] :kms_allow_decrypt_with_any_cmk (false) whether objects under keys that are not
    #   configured are also read, if the credentials permit it
    # @option options [String] :commitment_policy ("forbid_encrypt_allow_decrypt": writes V2, reads V2 and V3)
    #   `"require_encrypt_allow_decrypt"` writes V3, `"require_encrypt_require_decrypt"` writes and reads only V3
    # @option options [String] :security_profile `"v2_and_legacy"` or `"v3_and_legacy"` also read legacy objects, whose
    #   bodies are **not authenticated**; by default the profile follows from the policy
    # @option options [String] :envelope_location ("metadata") `"instruction_file"` also reads objects whose envelope is
    #   in an instruction file; none is written
    # @option options [String] :instruction_file_suffix (".instruction")
    # @option options [String] :place_binding ("verify") objects are bound to their keys by a metadata entry, and an
    #   object in the place of another is refused. `"require"` also refuses objects without an entry; `"off"` neither
    #   writes nor checks entries
    # @option options [Boolean] :segment_index (true) whether uploads of more than `memory_limit` bytes also store
    #   `<key>.segments`, which allows reading any part of the object without the rest
    # @option options [Array<String>, Hash{String => String}] :recovery_keys public RSA keys in PEM, or `file:` and
    #   paths; their owners can open every new object without any other key
    # @option options [Integer] :memory_limit (16 MiB) bytes up to which an object is decrypted in memory; a larger one
    #   is read by its segment map
    # @option options [String, Symbol] :default_digest_type ("md5") digest of the checksums that Active Storage computes
    #   for new files; `"sha256"` needs Rails 8.2. Without Rails it has no effect
    # @option options [Boolean] :public (false) whether URLs of files never expire
    # @option options [Hash] :upload `multipart_threshold` (16 MiB), `part_size` (5 MiB), `concurrency` (10), `acl`,
    #   `bucket_key_enabled`, `cache_control`, `expected_bucket_owner`, `storage_class`, `server_side_encryption`,
    #   `ssekms_encryption_context`, `ssekms_key_id`, `tagging`
    # @raise [ConfigurationError] when a setting is unknown, missing or wrong
    def initialize(tolerant = Tolerance.dummy?, problem = nil, **options)
      @tolerant = tolerant
      @options = options.freeze
      settings = Configuration::Options.new(options)
      settings.refuse_unknown(NAMES)
      read_store(settings)
      read_upload(settings.nested(:upload))
      read_encryption(settings)
      @default_digest_type = DigestType.read(settings)
      @public = settings.boolean(:public, false)
      @problem = problem || find_missing
      raise ConfigurationError, @problem if @problem && !tolerant

      check_recovery_keys
      freeze
    end

    # @return [Boolean] whether URLs of files never expire. They still lead to the application; nothing in the bucket
    #   becomes public
    def public? = @public

    # @return [Boolean] whether all required settings are present; false is possible only if that is tolerated
    def complete? = @problem.nil?

    # @return [Integer] bytes from which files are uploaded in parts
    def multipart_threshold = @transfer[:multipart_threshold]

    # @return [String] the format of new objects, `"v2"` or `"v3"`, chosen by the Rust core from `commitment_policy` and
    #   `security_profile`
    # @raise [ConfigurationError] when these two contradict each other
    def written_format = Native::Client.written_format(@formats)

    # @return [String, nil] suffix of instruction files; nil when they are not read
    def instruction_file_suffix = @formats[:instruction_file_suffix]

    # @return [String] `"off"`, `"verify"` or `"require"`: the handling of objects that were swapped, renamed or copied
    def place_binding = @formats[:place_binding]

    # @return [Boolean] whether uploads of large objects store their segment maps, `<key>.segments`
    def segment_index? = @segment_index

    # @return [Array<EncryptionKey, CustodiedKey>] all keys, the writing one first
    # @api private
    def keys = @keyring.keys

    # @return [Array<String>] the recovery keys of new objects, 16 hexadecimal digits each
    def recovery_fingerprints = @recovery_keys.fingerprints

    # @return [Boolean] whether a custodian keeps one of the keys
    def keys_in_custody? = @keyring.custodied?

    # @param keys [Array<Hash>] the keys in the form of the native client; by default those of the settings, which may
    #   come from a custodian
    # @param recovery_key [String, nil] DER of a private recovery key used in place of these
    # @return [Hash{Symbol => Object}] settings for the native client, including secrets
    # @raise [ConfigurationError] unless {#complete?}
    # @raise [KeyringError] when the custodian does not return a key
    # @api private
    def to_native(keys: nil, recovery_key: nil)
      raise ConfigurationError, @problem if @problem

      { recovery_keys: @recovery_keys.to_native, recovery_key: recovery_key,
        root: @root, bucket: @bucket, expected_bucket_owner: @expected_bucket_owner,
        **@connection, **@kms, **@transfer, **@formats,
        segment_index: @segment_index, memory_limit: @memory_limit, object_settings: @object_settings,
        keys: keys || @keyring.to_native }
    end

    # Settings for requests that need no key: with a random key that is not used.
    # @return [Hash{Symbol => Object}]
    # @raise [ConfigurationError] unless {#complete?}
    # @api private
    def to_native_without_keys(recovery_key: nil)
      to_native(recovery_key: recovery_key,
                keys: [{ id: nil, kind: "aes", key: SecureRandom.bytes(EncryptionKey::SIZE) }])
    end

    private

    def public_attributes
      { bucket: @bucket, root: @root, prefix: (@prefix.to_s unless @prefix.to_s.empty?), region: @region,
        endpoint: @endpoint, encryption_key_id: @encryption_key&.id }.compact
    end

    def read_store(settings)
      @root = Folder.read(settings)
      @bucket = StoreNames.bucket(settings)
      @prefix = Prefix.new(settings)
      connection = Connection.new(settings)
      @half = connection.half_a_credential
      settings.refuse(*@half) if @half && !@tolerant
      @connection = connection.to_native
      @region, @endpoint = @connection.values_at(:region, :endpoint)
      @kms = connection.kms
    end

    def read_upload(settings)
      settings.refuse_unknown(UPLOAD_NAMES)
      threshold = settings.integer(:multipart_threshold, DEFAULT_MULTIPART_THRESHOLD, 1..PART_SIZES.end)
      @part_size = settings.integer(:part_size, DEFAULT_PART_SIZE, PART_SIZES)
      if settings.raw(:multipart_threshold) && settings.raw(:part_size) && threshold < @part_size
        settings.refuse :part_size, "must not be larger than multipart_threshold"
      end
      # A smaller threshold would make multipart uploads with one part: three requests instead of one.
      @transfer = { multipart_threshold: [threshold, @part_size].max, part_size: @part_size,
                    concurrency: settings.integer(:concurrency, DEFAULT_CONCURRENCY, 1..64) }.freeze
      @object_settings = read_object_settings(settings)
    end

    def read_object_settings(settings)
      Folder.refuse(settings, OBJECT_NAMES) if @root
      # Sent with every request, not only with uploads.
      @expected_bucket_owner = settings.string(:expected_bucket_owner)
      names = OBJECT_NAMES - %i[bucket_key_enabled expected_bucket_owner]
      texts = names.to_h { |name| [name.to_s, settings.string(name)] }
      bucket_key = settings.boolean(:bucket_key_enabled, nil)
      { **texts, "bucket_key_enabled" => bucket_key&.to_s }.compact.freeze
    end

    def read_encryption(settings)
      @segment_index = settings.boolean(:segment_index, true)
      @memory_limit = settings.integer(:memory_limit, DEFAULT_MEMORY_LIMIT, SMALLEST_MEMORY_LIMIT..)
      @keyring = Keyring.new(settings, @tolerant)
      @encryption_key = @keyring.writing
      @recovery_keys = RecoveryKeys.new(settings, @tolerant)
      @formats = {
        commitment_policy: settings.choice(:commitment_policy, nil, COMMITMENT_POLICIES),
        security_profile: settings.choice(:security_profile, nil, SECURITY_PROFILES),
        instruction_file_suffix: read_instruction_file_suffix(settings),
        place_binding: settings.choice(:place_binding, DEFAULT_PLACE_BINDING, PLACE_BINDINGS)
      }.freeze
    end

    # `written_format` raises when policy and profile contradict each other; without recovery keys the client reports
    # it.
    def check_recovery_keys
      return unless @encryption_key && @recovery_keys.any?

      @recovery_keys.check_size(@encryption_key, written_format, place: place_binding != "off")
    end

    def read_instruction_file_suffix(settings)
      location = settings.choice(:envelope_location, ENVELOPE_LOCATIONS.first, ENVELOPE_LOCATIONS)
      suffix = settings.string(:instruction_file_suffix)
      if suffix == SEGMENTS_SUFFIX
        settings.refuse :instruction_file_suffix, "must not be #{SEGMENTS_SUFFIX}, the suffix of segment maps"
      end
      return suffix || DEFAULT_INSTRUCTION_FILE_SUFFIX if location == "instruction_file"

      settings.refuse :instruction_file_suffix, "needs envelope_location: instruction_file" if suffix
    end

    # An entry with an empty `root` is for a folder, not for a bucket.
    def missing_store = @options.keys.any? { |name| name.to_sym == :root } ? "root is empty" : "bucket is missing"

    def find_missing
      return missing_store unless @bucket || @root
      return @half.join(" ") if @half
      return @keyring.missing unless @keyring.missing == "encryption_key is missing"

      "encryption_key is missing. #{MissingKey.way_out("Make one with: #{EncryptionKey::RECIPE}")}"
    end
  end
end
