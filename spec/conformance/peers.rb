# frozen_string_literal: true

require_relative "conformance_helper"

module Conformance
  # Amazon's clients of other languages with the interface that the cases need: a key, a format, put and get.
  module Peers
    # Amazon's Ruby client of V2. It does not read V3.
    class RubyV2
      READS = %i[gcm].freeze
      KINDS = %i[aes rsa].freeze

      def self.missing = nil

      def initialize(key, _format, **options)
        @client = AwsClients.v2(key, **options)
      end

      def put(key, body) = @client.put_object(bucket: TestStore::BUCKET, key: key, body: AwsClients.body(body))

      def get(key) = @client.get_object(bucket: TestStore::BUCKET, key: key).body.read.b
    end

    # Amazon's Ruby client of V3, which only newer versions of the SDK have.
    class RubyV3 < RubyV2
      READS = %i[gcm kc_gcm].freeze
      SETTINGS = {
        gcm: { content_encryption_schema: :aes_gcm_no_padding, commitment_policy: :forbid_encrypt_allow_decrypt },
        kc_gcm: { commitment_policy: :require_encrypt_require_decrypt }
      }.freeze

      def self.missing
        "aws-sdk-s3 #{Aws::S3::GEM_VERSION} has no such client" unless defined?(Aws::S3::EncryptionV3)
      end

      def initialize(key, format, **options) # rubocop:disable Lint/MissingSuper
        @client = AwsClients.v3(key, **SETTINGS.fetch(format), **options)
      end
    end

    # Amazon's Python client, with a keyring for static keys.
    class Python
      READS = %i[gcm kc_gcm].freeze
      POLICIES = { gcm: "forbid_encrypt_allow_decrypt", kc_gcm: "require_encrypt_require_decrypt" }.freeze

      def self.missing = nil

      def initialize(key, format)
        key = key.is_a?(String) ? { wrapping_key: [key].pack("m0") } : { private_key_pem: key.private_to_pem }
        @client = EncryptionClient.new(commitment_policy: POLICIES.fetch(format), **key)
      end

      def put(key, body) = @client.put(key, body)

      def get(key) = @client.get(key)
    end

    ALL = { "Ruby V2" => RubyV2, "Ruby V3" => RubyV3, "Python V4" => Python }.freeze

    # @return [Array(String, Class, Symbol)] each client with each format that it writes and reads
    def self.with_formats = ALL.flat_map { |name, peer| peer::READS.map { |format| [name, peer, format] } }
  end
end
