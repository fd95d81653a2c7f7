# frozen_string_literal: true

require "openssl"
require_relative "../errors"

module EncryptedS3Service
  # A checksum of plaintext, in one of the forms in which Active Storage keeps it: the Base64 of an MD5; from Rails 8.1
  # on that of another digest, if `config.active_storage.checksum_implementation` is one; from Rails 8.2 on with the
  # digest's name and a colon before it, if the service chose it. Files that are mirrored or moved here bring theirs.
  # @api private
  class Checksum
    # Digests by the size of their Base64.
    BY_SIZE = { 24 => "md5", 44 => "sha256", 88 => "sha512" }.freeze
    private_constant :BY_SIZE

    # @return [String] the name of the digest, as OpenSSL has it
    attr_reader :algorithm

    # @return [String] the Base64 of the digest
    attr_reader :base64

    # @param text [String, nil]
    # @return [Checksum, nil] nil where there is none
    def self.parse(text) = text && new(text)

    # @param text [String]
    # @raise [UnsupportedOperationError] when it is of a digest that is not computed here
    def initialize(text)
      name, colon, @base64 = text.rpartition(":")
      @algorithm = colon.empty? ? BY_SIZE.fetch(text.bytesize, "md5") : name.downcase
      return if BY_SIZE.value?(@algorithm)

      raise UnsupportedOperationError, "checksums by #{@algorithm.inspect} are not known to this version, only " \
                                       "#{BY_SIZE.values.join(", ")}"
    end

    # @return [String, nil] the Base64, if it is of an MD5, which the core computes beside its other work
    def md5 = (@base64 if @algorithm == "md5")

    # @return [OpenSSL::Digest, nil] one to be fed with the plaintext; nil for an MD5
    def digest = (OpenSSL::Digest.new(@algorithm) unless md5)

    # @param found [String] the Base64 of what the plaintext's digest is
    # @return [void]
    # @raise [ChecksumError] when it is another
    def check(found)
      return if found == @base64

      raise ChecksumError, "the bytes do not have the checksum that was announced (#{@algorithm})"
    end
  end
end
