# frozen_string_literal: true

require "json"
require "openssl"
require "securerandom"
require "encrypted_s3_service"

module ConformanceServer
  # Reported as the model's S3EncryptionClientError.
  class Refusal < StandardError; end

  # The requested clients, by id. The model names the bucket in each request, our clients have it in their settings. So
  # there is one client for each id and bucket.
  class Clients
    # The model's names of algorithms that can be written, with their formats.
    WRITTEN = {
      "ALG_AES_256_GCM_IV12_TAG16_NO_KDF" => "v2",
      "ALG_AES_256_GCM_HKDF_SHA512_COMMIT_KEY" => "v3"
    }.freeze

    # @param connection [Hash{Symbol => Object}] the S3 part of an entry of storage.yml
    def initialize(connection)
      @connection = connection
      @configurations = {}
      @clients = {}
      @lock = Mutex.new
    end

    # @param config [Hash{String => Object}] the model's S3ECConfig
    # @return [String] the id of a client; its settings are checked here
    # @raise [Refusal, EncryptedS3Service::Error]
    def create(config)
      settings = settings_for(config)
      check_algorithm(config["encryptionAlgorithm"], new_client("checked", settings).configuration.written_format)
      SecureRandom.uuid.tap { |id| @lock.synchronize { @configurations[id] = settings } }
    end

    # @param changes [Hash{Symbol => Object}] settings for this request only
    # @return [EncryptedS3Service::Client]
    # @raise [KeyError] if there is no client with this id
    def fetch(id, bucket, **changes)
      settings = @lock.synchronize { @configurations.fetch(id) }
      return new_client(bucket, { **settings, **changes }) if changes.any?

      @lock.synchronize { @clients[[id, bucket]] ||= new_client(bucket, settings) }
    end

    # @param material [Hash{String => Object}] the model's KeyMaterial
    # @return [EncryptedS3Service::Client] writes with this key and reads with the key of the existing client
    # @raise (see #fetch)
    def fetch_with_new_key(id, bucket, material, **changes)
      former = @lock.synchronize { @configurations.fetch(id) }
      known = { key: former[:encryption_key], id: former[:encryption_key_id] }
      known = former.slice(:kms_key_id) if former[:kms_key_id]
      none = { encryption_key: nil, encryption_key_id: nil, kms_key_id: nil }
      fetch(id, bucket, **none, **key_settings(material), decryption_keys: [known], **changes)
    end

    private

    # @param material [Hash{String => Object}] the model's KeyMaterial
    # @return [Hash{Symbol => Object}] `encryption_key` and `encryption_key_id`, or `kms_key_id`
    # @raise [Refusal] unless there is exactly one key
    def key_settings(material)
      given = material.to_h.slice("aesKey", "rsaKey", "kmsKeyId").compact
      raise Refusal, "keyMaterial must have exactly one key" unless given.one?

      kind, value = given.first
      return { kms_key_id: value } if kind == "kmsKeyId"

      key = kind == "aesKey" ? value.unpack1("m") : OpenSSL::PKey::RSA.new(value.unpack1("m"))
      { encryption_key: key, encryption_key_id: material["materialsDescription"].to_h.values.first.to_s }
    end

    def new_client(bucket, settings) = EncryptedS3Service::Client.new(**@connection, **settings, bucket: bucket)

    def settings_for(config)
      raise Refusal, "bytes are never released before they are checked" if config["enableDelayedAuthenticationMode"]

      location = config.dig("instructionFileConfig", "disableInstructionFile") ? "metadata" : "instruction_file"
      settings = { commitment_policy: config["commitmentPolicy"]&.downcase, security_profile: profile(config),
                   memory_limit: config["setBufferSize"], envelope_location: location }
      { **key_settings(config["keyMaterial"]), **settings.compact }
    end

    # The model has two switches for what is one setting here, as in Amazon's clients for Ruby, PHP, C++, Go and .NET.
    def profile(config)
      legacy = config.values_at("enableLegacyUnauthenticatedModes", "enableLegacyWrappingAlgorithms").any?
      writes_v2 = [nil, "FORBID_ENCRYPT_ALLOW_DECRYPT"].include?(config["commitmentPolicy"])
      return unless legacy

      writes_v2 ? "v2_and_legacy" : "v3_and_legacy"
    end

    # The algorithm is not a setting here: it follows from the policy, so that the two cannot contradict each other.
    def check_algorithm(algorithm, written)
      return if algorithm.nil? || WRITTEN[algorithm] == written

      raise Refusal, "encryptionAlgorithm #{algorithm} is not what this commitmentPolicy writes"
    end
  end
end
