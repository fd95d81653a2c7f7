# frozen_string_literal: true

require "stringio"
require_relative "../../tenancy/service_parts"
require_relative "noted_checksum"

module EncryptedS3Service
  module TaskRun
    # The form of the checksums that a service computes and compares. A service of Rails supports one form only: the
    # Base64 of an MD5, or, for an S3Service of Rails 8.2 with `default_digest_type: sha256`, that of a SHA-256 with its
    # name before it. A file whose row has another form can be neither stored there nor opened.
    # @api private
    class ChecksumForm
      # Digests that a copy's checksum is computed with.
      DIGESTS = %w[md5 sha256].freeze
      private_constant :DIGESTS

      # @param service [ActiveStorage::Service]
      # @return [ChecksumForm, nil] nil for a service of this gem, which compares every form
      def self.of(service)
        return if ServiceParts.encrypts?(service)

        # Before Rails 8.2 Active Storage itself computes the checksums.
        new(service.respond_to?(:compute_checksum) ? service.compute_checksum(StringIO.new) : nil)
      end

      # @return [String] OpenSSL's name of the digest
      attr_reader :algorithm

      # @param example [String, nil] the checksum of an empty file; nil means the Base64 of an MD5
      def initialize(example)
        algorithm = NotedChecksum.new(example, size: 0).algorithm
        @algorithm = DIGESTS.include?(algorithm) ? algorithm : "md5"
        @prefix = example.to_s[/\A\w+:/].to_s
      end

      # @param base64 [String] the Base64 of the digest
      # @return [String] the checksum in this form
      def write(base64) = "#{@prefix}#{base64}"

      # @param noted [NotedChecksum]
      # @param column [String] the column `checksum`
      # @return [Boolean] whether the column is in this form
      def of?(noted, column) = noted.algorithm == algorithm && column == write(noted.base64)
    end
  end
end
