# frozen_string_literal: true

require "aws-sdk-s3"

# Amazon's Ruby clients of the envelope formats, against the bucket of the specs.
module AwsClients
  CONNECTION = %i[endpoint region access_key_id secret_access_key force_path_style].freeze

  module_function

  # @return [Aws::S3::Client]
  def plain = Aws::S3::Client.new(**TestStore.settings.slice(*CONNECTION))

  # @param key [String, OpenSSL::PKey::RSA]
  # @return [Aws::S3::EncryptionV2::Client]
  def v2(key, **options)
    schema = key.is_a?(String) ? :aes_gcm : :rsa_oaep_sha1
    Aws::S3::EncryptionV2::Client.new(client: plain, encryption_key: key, key_wrap_schema: schema,
                                      content_encryption_schema: :aes_gcm_no_padding, security_profile: :v2, **options)
  end

  # Only in newer gems of the SDK.
  # @param key [String, OpenSSL::PKey::RSA]
  # @return [Aws::S3::EncryptionV3::Client]
  def v3(key, **options)
    schema = key.is_a?(String) ? :aes_gcm : :rsa_oaep_sha1
    Aws::S3::EncryptionV3::Client.new(client: plain, encryption_key: key, key_wrap_schema: schema, **options)
  end

  # A body that returns at most 700,000 bytes per read. The clients read 1 MiB at once, and if the last piece then has 1
  # MiB - 1 byte, Ruby's openssl 3.2.0 fails ("can't set length of shared string").
  # @return [StringIO]
  def body(data)
    StringIO.new(data).tap do |io|
      io.define_singleton_method(:read) { |length = nil, *buffer| super(length && [length, 700_000].min, *buffer) }
    end
  end

  # The client that writes AES-CBC. Its deprecation warning is suppressed.
  # @param key [String, OpenSSL::PKey::RSA]
  # @return [Aws::S3::Encryption::Client]
  def v1(key, **options) = quietly { Aws::S3::Encryption::Client.new(client: plain, encryption_key: key, **options) }

  # @param key_id [String] of a key in AWS KMS
  # @param kms [Aws::KMS::Client]
  # @return [Aws::S3::Encryption::Client]
  def v1_kms(key_id, kms)
    quietly { Aws::S3::Encryption::Client.new(client: plain, kms_key_id: key_id, kms_client: kms) }
  end

  def quietly
    screen = $stderr
    $stderr = StringIO.new
    yield
  ensure
    $stderr = screen
  end
end
