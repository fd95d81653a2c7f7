# frozen_string_literal: true

require "openssl"
require_relative "../errors"

module EncryptedS3Service
  # A checksum of plaintext in one of the forms that Active Storage keeps in `active_storage_blobs.checksum`: the Base64
  # of an MD5, or of another digest (`ActiveStorage.checksum_implementation`, from Rails 8.1 on), or, from Rails 8.2 on,
  # with the digest's name and a colon before it. Files that are mirrored or migrated bring the form of their service.
  # @api private
  class Checksum
    # Digests by the length of their Base64, in characters.
    BY_SIZE = { 24 => "md5", 44 => "sha256", 88 => "sha512" }.freeze
    private_constant :BY_SIZE

    # @return [String] the name of the digest, as OpenSSL has it
    attr_reader :algorithm

    # @return [String] the Base64 of the digest
    attr_reader :base64

    # @param text [String, nil]
    # @return [Checksum, nil] nil for nil
    def self.parse(text) = text && new(text)

    # @param text [String]
    # @raise [UnsupportedOperationError] when the digest is not supported
    def initialize(text)
      name, colon, @base64 = text.rpartition(":")
      @algorithm = colon.empty? ? BY_SIZE.fetch(text.bytesize, "md5") : name.downcase
      return if BY_SIZE.value?(@algorithm)

      raise UnsupportedOperationError, "Checksums by #{@algorithm.inspect} are not supported, only " \
                                       "#{BY_SIZE.values.join(", ")}"
    end

    # @return [String, nil] the Base64 of an MD5, which the core computes while it encrypts; nil for another digest
    def md5 = (@base64 if @algorithm == "md5")

    # @return [OpenSSL::Digest, nil] a new digest for the plaintext; nil for an MD5
    def digest = (OpenSSL::Digest.new(@algorithm) unless md5)

    # @param found [String] Base64 of the plaintext's digest
    # @return [void]
    # @raise [ChecksumError] when it differs
    def check(found)
      return if found == @base64

      raise ChecksumError, "The file does not have the checksum that was announced (#{@algorithm})"
    end
  end
end
