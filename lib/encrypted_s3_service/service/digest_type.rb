# frozen_string_literal: true

require "openssl"

module EncryptedS3Service
  # The digest of the checksums of new files, as in Rails' S3Service from 8.2 on (the setting `default_digest_type`).
  # Older Rails always computes an MD5.
  module DigestType
    # Digests by the setting's values.
    DIGESTS = { md5: OpenSSL::Digest::MD5, sha256: OpenSSL::Digest::SHA256 }.freeze
    private_constant :DIGESTS

    # @return [Symbol] `:md5` or `:sha256`
    def default_digest_type = client.configuration.default_digest_type

    # @return [Class] the OpenSSL::Digest of {#default_digest_type}
    def default_digest_class = DIGESTS.fetch(default_digest_type)

    # Methods for a Rails that calls the service for the checksum of a new file.
    module Answers
      # @param io [IO] at its beginning, to which it is rewound
      # @param options [Hash{Symbol => Object}] see ActiveStorage::Service#compute_checksum
      # @return [String] Base64 of the digest; unless it is an MD5, with the digest's name and a colon before it
      def compute_checksum(io, **options)
        default_digest_type == :md5 ? super : "#{default_digest_type}:#{super}"
      end

      # @param check_digest_type [Symbol, nil] `:md5` or `:sha256`; nil means {DigestType#default_digest_type}
      # @return [Class] an OpenSSL::Digest
      # @raise [ActiveStorage::IntegrityError] for another digest
      def checksum_implementation(check_digest_type: nil, **)
        DIGESTS.fetch(check_digest_type || default_digest_type) do |name|
          raise ActiveStorage::IntegrityError,
                "Checksums by #{name} are not supported, only #{DIGESTS.keys.join(", ")}."
        end
      end
    end

    # @param service [Class]
    # @return [void]
    # @api private
    def self.included(service)
      super
      service.include(Answers) if Configuration::DigestType.chosen_by_service?
    end
  end
end
