# frozen_string_literal: true

require "aws-sdk-kms"
require_relative "aws_clients"
require_relative "fault_proxy"
require_relative "s3_server/moto"

# AWS KMS for the specs, simulated by moto.
module Kms
  module_function

  # @return [S3Server::Moto] started on first use, stopped at the end of the run
  def server = @server ||= S3Server::Moto.new.start

  # @param region [String]
  # @return [Aws::KMS::Client]
  def client(region = "us-east-1")
    # Amazon's encryption clients send `key_id`. An older gem does not know it, and omits it if nothing is validated.
    Aws::KMS::Client.new(endpoint: server.endpoint, region: region, validate_params: names_keys?,
                         access_key_id: "moto", secret_access_key: "moto")
  end

  # @return [Boolean] whether the gem can send the id of the key with a Decrypt request
  def names_keys? = Aws::KMS::ClientApi::DecryptRequest.member?(:key_id)

  # @return [String] the ARN of a new key
  def create_key(region = "us-east-1") = client(region).create_key.key_metadata.arn

  # @param arn [String]
  # @return [String] `alias/…`, an alias of that key
  def create_alias(arn)
    "alias/#{SecureRandom.hex(8)}".tap { |name| client.create_alias(alias_name: name, target_key_id: arn) }
  end

  # @param key_id [String]
  # @return [Hash{Symbol => Object}] settings of a client whose objects are in the bucket of the specs
  def settings(key_id, **overrides)
    TestStore.settings(encryption_key: nil, encryption_key_id: nil, kms_key_id: key_id, kms_endpoint: server.endpoint,
                       **overrides)
  end

  # @param key_id [String]
  # @return [Aws::S3::EncryptionV2::Client]
  def aws_v2(key_id, **options)
    Aws::S3::EncryptionV2::Client.new(client: AwsClients.plain, kms_key_id: key_id, kms_client: client,
                                      key_wrap_schema: :kms_context, security_profile: :v2,
                                      content_encryption_schema: :aes_gcm_no_padding, **options)
  end

  # Only in newer versions of the SDK.
  # @param key_id [String]
  # @return [Aws::S3::EncryptionV3::Client]
  def aws_v3(key_id, **options)
    Aws::S3::EncryptionV3::Client.new(client: AwsClients.plain, kms_key_id: key_id, kms_client: client,
                                      key_wrap_schema: :kms_context, **options)
  end
end
