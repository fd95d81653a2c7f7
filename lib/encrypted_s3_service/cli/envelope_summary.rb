# frozen_string_literal: true

require "json"

module EncryptedS3Service
  class CLI
    # Describes an object's envelope in words. None of it is authenticated, and no wrapped key is shown.
    # @api private
    class EnvelopeSummary
      # Formats by an entry that only this format has.
      FORMATS = { "x-amz-key" => :v1, "x-amz-key-v2" => :v2, "x-amz-3" => :v3 }.freeze
      # Names of the formats in the output.
      NAMES = {
        v1: "V1 (legacy: read only with --security-profile v2_and_legacy or v3_and_legacy)",
        v2: "V2 (Amazon S3 EncryptionV2)", v3: "V3 (with key commitment)"
      }.freeze
      # V3's short names of wrapping algorithms and of the algorithm suite.
      WRAPS = { "02" => "AES/GCM", "12" => "kms+context", "22" => "RSA-OAEP-SHA1" }.freeze
      SUITES = { "115" => "AES-256-GCM, HKDF-SHA512, key commitment (suite 115)" }.freeze
      # The entries for material descriptions, which hold key ids. V3 abbreviates the name.
      DESCRIPTIONS = %w[x-amz-m x-amz-matdesc].freeze
      # The entry that binds an object to its key (docs/format.md, 4).
      PLACE = "encrypted-s3-place"
      # The entry with the ARN of a key in AWS KMS (docs/format.md, 6).
      KMS_KEY = "encrypted-s3-kms-key"
      # The entry for recovery keys (docs/format.md, 7).
      RECOVERY = "encrypted-s3-recovery"
      # Bytes of the authentication tag.
      TAG = 16
      # Characters of the first column.
      WIDTH = 14
      private_constant :FORMATS, :NAMES, :WRAPS, :SUITES, :DESCRIPTIONS, :PLACE, :KMS_KEY, :RECOVERY, :TAG,
                       :WIDTH

      # @param place [String]
      # @param size [Integer] bytes of the stored body
      # @param entries [Hash{String => String}] names without the `x-amz-meta-` prefix
      # @param indexed [Boolean, nil] whether its segment map is stored; nil when that was not checked
      def initialize(place, size, entries, indexed: nil)
        @place = place
        @indexed = indexed
        @size = size
        @entries = entries.transform_keys(&:downcase)
        @formats = FORMATS.select { |name, _| @entries.key?(name) }.values
      end

      # @return [Array<String>]
      # @raise [EnvelopeError] when there is no envelope, or more than one
      def lines
        refuse_unclear
        { "object" => @place, "format" => NAMES.fetch(format), "content" => content, "key wrapping" => wrapping,
          "key id" => key_id || "(none)", "place" => place, "recovery keys" => recovery_keys,
          "stored" => "#{@size} bytes", "plaintext" => plaintext, "segment map" => index }
          .compact.map { |name, value| "#{"#{name}:".ljust(WIDTH)} #{printable(value)}" }
      end

      private

      def format = @formats.first

      def refuse_unclear
        return if @formats.one?

        reason = @formats.empty? ? "contains no envelope, or it is in an instruction file" : "mixes several formats"
        raise EnvelopeError, "#{@place}: the metadata #{reason}"
      end

      def content
        case format
        when :v3 then suite = @entries["x-amz-c"] and SUITES.fetch(suite, "suite #{suite}, unknown")
        when :v1 then "AES-CBC, not authenticated"
        else cbc? ? "#{@entries["x-amz-cek-alg"]}, not authenticated" : "#{@entries["x-amz-cek-alg"]} (AES-256)"
        end
      end

      def wrapping
        case format
        when :v3 then WRAPS.fetch(@entries["x-amz-w"], "#{@entries["x-amz-w"]}, unknown")
        when :v1 then @entries.fetch("x-amz-wrap-alg", "not named")
        else @entries["x-amz-wrap-alg"]
        end
      end

      def key_id
        return @entries[KMS_KEY] if @entries.key?(KMS_KEY)

        description = DESCRIPTIONS.filter_map { |name| @entries[name] }.first or return
        parsed = JSON.parse(description)
        parsed["key_id"] if parsed.is_a?(Hash)
      rescue JSON::ParserError
        "(its description is not JSON)"
      end

      def place
        return "bound to the key that it was written under" if @entries.key?(PLACE)

        "not bound: nothing says where it was written"
      end

      def index
        return if @indexed.nil?

        @indexed ? "#{@place}#{Configuration::SEGMENTS_SUFFIX}" : "none"
      end

      def recovery_keys
        return unless @entries.key?(RECOVERY)

        fingerprints = Native::Client.recovery_fingerprints(@entries.slice(RECOVERY))
        fingerprints.empty? ? "(the entry is damaged)" : fingerprints.join(", ")
      end

      def plaintext
        return "#{@size - TAG} bytes" if !cbc? && @size >= TAG
        return "the body is too short to be an encrypted one" unless cbc?

        noted = @entries["x-amz-unencrypted-content-length"]
        noted ? "#{noted} bytes, as its writer noted" : "unknown until it is decrypted"
      end

      def cbc? = format == :v1 || @entries["x-amz-cek-alg"].to_s.include?("CBC")

      # These texts come from anyone who can write to the bucket, and a terminal would obey control characters in them.
      def printable(value) = value.to_s[0, 200].scrub("?").gsub(/[^[:print:]]/, "?")
    end
  end
end
