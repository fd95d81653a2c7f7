# frozen_string_literal: true

require "openssl"

module EncryptedS3Service
  module TaskRun
    # The checksum in a row. Active Storage writes the Base64 of an MD5. Imports from Paperclip, CarrierWave or a
    # bucket's listing leave the MD5 in hex, an ETag, a placeholder or nothing.
    # @api private
    class NotedChecksum
      # Digests by the length of their hex.
      HEX = { 32 => "md5", 40 => "sha1", 64 => "sha256", 128 => "sha512" }.freeze
      # Digests by their length in bytes.
      BYTES = { 16 => "md5", 20 => "sha1", 32 => "sha256", 64 => "sha512" }.freeze
      # Digests of an empty file. In the row of a file that is not empty, such a digest is a placeholder.
      EMPTY = BYTES.values.to_h { |name| [name, OpenSSL::Digest.digest(name, "")] }.freeze
      # The digest's name as a prefix: `md5:…`, `md5=…`, `sha256-…` of web pages, `{MD5}…` of directories.
      NAMED = /\A(?:\{(md5|sha-?(?:1|256|512))\}|(md5|sha-?(?:1|256|512))[:=-])(.+)\z/i
      # Hex in pairs, as in fingerprints.
      PAIRS = /\A\h\h(?:[:-]\h\h)+\z/
      private_constant :HEX, :BYTES, :EMPTY, :NAMED, :PAIRS

      # @return [String, nil] OpenSSL's name of the digest; nil when the row has no usable one
      attr_reader :algorithm

      # @return [String, nil] the Base64 of the digest
      attr_reader :base64

      # @param text [String, nil] the column `checksum`
      # @param size [Integer, nil] the column `byte_size`
      def initialize(text, size: nil)
        @column = text.to_s
        @text = @column.strip.gsub("&quot;", '"')
        algorithm, digest = read
        return if algorithm.nil? || placeholder?(algorithm, digest, size)

        @algorithm = algorithm
        @base64 = [digest].pack("m0")
        @empty = digest == EMPTY[algorithm]
      end

      # @return [Boolean] whether the column is empty
      def blank? = @text.empty?

      # A store's ETag in quotes is usually an MD5, but not if the store itself encrypts. Importers that have no digest
      # write the digest of an empty file.
      # @return [Boolean] whether a file with another digest may still be right
      def doubtful? = @empty || @text.match?(%r{\A(?:W/)?"})

      # @return [String, nil] in the form that {Checksum} takes; nil for a digest that it does not compute
      def announced
        return @base64 if @algorithm == "md5"

        "#{@algorithm}:#{@base64}" if %w[sha256 sha512].include?(@algorithm)
      end

      # @return [Boolean] whether the column has the form of Active Storage, or of a service of Rails 8.2
      def well_written? = !@algorithm.nil? && !announced.nil? && [@base64, announced].include?(@column)

      private

      def placeholder?(algorithm, digest, size)
        digest.bytes.uniq.one? || (digest == EMPTY[algorithm] && size != 0)
      end

      def read
        # Only with quotes, because a Base64 text may also begin with W/.
        text = @text[%r{\A(?:W/)?"(.*)"\z}, 1] || @text
        named = NAMED.match(text)
        named ? prefixed((named[1] || named[2]).downcase.delete("-"), named[3]) : plain(text)
      rescue ArgumentError
        [nil, nil]
      end

      def plain(text)
        hex = text.match?(PAIRS) ? text.delete(":-") : text
        return [HEX[hex.size], [hex].pack("H*")] if hex.match?(/\A\h+\z/) && HEX.key?(hex.size)

        digest = decoded(text)
        [BYTES[digest.bytesize], digest]
      end

      def prefixed(name, text)
        algorithm, digest = plain(text)
        algorithm == name ? [name, digest] : [nil, nil]
      end

      # JavaScript and other languages also write URL-safe Base64 and Base64 without padding.
      def decoded(text)
        bare = text.tr("-_", "+/").sub(/={1,2}\z/, "")
        bare.ljust((bare.size + 3) / 4 * 4, "=").unpack1("m0")
      end
    end
  end
end
