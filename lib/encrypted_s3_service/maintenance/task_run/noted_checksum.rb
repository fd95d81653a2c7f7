# frozen_string_literal: true

require "openssl"

module EncryptedS3Service
  module TaskRun
    # What a row says of its file's checksum. Active Storage writes the Base64 of an MD5; imports from Paperclip,
    # CarrierWave or a bucket's listing leave the MD5 in hex, an ETag, a placeholder or nothing.
    # @api private
    class NotedChecksum
      # Digests by the characters of their hex.
      HEX = { 32 => "md5", 40 => "sha1", 64 => "sha256", 128 => "sha512" }.freeze
      # Digests by their bytes.
      BYTES = { 16 => "md5", 20 => "sha1", 32 => "sha256", 64 => "sha512" }.freeze
      # The digest of nothing: of a file that is not empty, it is a placeholder.
      EMPTY = BYTES.values.to_h { |name| [name, OpenSSL::Digest.digest(name, "")] }.freeze
      # The digest's name before it: `md5:…`, `md5=…`, `sha256-…` of web pages, `{MD5}…` of directories.
      NAMED = /\A(?:\{(md5|sha-?(?:1|256|512))\}|(md5|sha-?(?:1|256|512))[:=-])(.+)\z/i
      # Hex in pairs, as fingerprints are written.
      PAIRS = /\A\h\h(?:[:-]\h\h)+\z/
      private_constant :HEX, :BYTES, :EMPTY, :NAMED, :PAIRS

      # @return [String, nil] the name of the digest, as OpenSSL has it; nil where the row has none that is usable
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

      # @return [Boolean] whether there is nothing
      def blank? = @text.empty?

      # A store's ETag in quotes is mostly an MD5, but not where the store encrypts by itself. And the digest of nothing
      # is what importers write who have none.
      # @return [Boolean] whether a file of another digest may be right all the same
      def doubtful? = @empty || @text.match?(%r{\A(?:W/)?"})

      # @return [String, nil] as {Checksum} takes it; nil for a digest that is not computed there
      def announced
        return @base64 if @algorithm == "md5"

        "#{@algorithm}:#{@base64}" if %w[sha256 sha512].include?(@algorithm)
      end

      # @return [Boolean] whether the column has it as Active Storage writes it, or a service of Rails 8.2
      def well_written? = !@algorithm.nil? && !announced.nil? && [@base64, announced].include?(@column)

      private

      def placeholder?(algorithm, digest, size)
        digest.bytes.uniq.one? || (digest == EMPTY[algorithm] && size != 0)
      end

      def read
        # Not without the quotes: a Base64 may begin with W/, too.
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

      # JavaScript and other languages also write Base64 for addresses, and without the signs at its end.
      def decoded(text)
        bare = text.tr("-_", "+/").sub(/={1,2}\z/, "")
        bare.ljust((bare.size + 3) / 4 * 4, "=").unpack1("m0")
      end
    end
  end
end
