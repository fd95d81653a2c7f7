# frozen_string_literal: true

require_relative "../errors"

module EncryptedS3Service
  # A checksum of plaintext in the forms that Active Storage uses: the Base64 of an MD5; since Rails 8.1 the Base64 of
  # another digest, if `ActiveStorage.checksum_implementation` is one; since Rails 8.2 with the digest's name
  # and a colon before it, if the service chose it. Mirrored and migrated files keep the checksum they have.
  # @api private
  class Checksum
    # Digests by the length of their Base64.
    BY_SIZE = { 24 => "md5", 44 => "sha256", 88 => "sha512" }.freeze
    private_constant :BY_SIZE

    # @return [String] the digest's name in OpenSSL
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
                                       "#{BY_SIZE.values.join(", ")}."
    end

    # @return [String] the checksum with the digest's name before it, as the Rust core expects it
    def to_s = "#{@algorithm}:#{@base64}"

    # @param found [String] Base64 of the plaintext's digest
    # @return [void]
    # @raise [ChecksumError] when it differs from the announced one
    def check(found)
      return if found == @base64

      raise ChecksumError, "The content does not match the announced checksum (#{@algorithm})."
    end
  end
end
