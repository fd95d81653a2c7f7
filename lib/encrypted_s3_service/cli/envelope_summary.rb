# frozen_string_literal: true

require "json"

module EncryptedS3Service
  class CLI
    # Describes an object's envelope in words. Nothing in it is authenticated. No wrapped key is shown.
    # @api private
    class EnvelopeSummary
      # The metadata entry that marks each format.
      FORMATS = { "x-amz-key" => :v1, "x-amz-key-v2" => :v2, "x-amz-3" => :v3 }.freeze
      # Names of the formats.
      NAMES = {
        v1: "V1 (legacy: read only with --security-profile v2_and_legacy or v3_and_legacy)",
        v2: "V2 (Amazon S3 EncryptionV2)", v3: "V3 (with key commitment)"
      }.freeze
      # V3's codes for key wrapping algorithms and algorithm suites.
      WRAPS = { "02" => "AES/GCM", "12" => "kms+context", "22" => "RSA-OAEP-SHA1" }.freeze
      SUITES = { "115" => "AES-256-GCM, HKDF-SHA512, key commitment (suite 115)" }.freeze
      # The entries that hold the material description, in V3 and before.
      DESCRIPTIONS = %w[x-amz-m x-amz-matdesc].freeze
      # Bytes of the authentication tag.
      TAG = 16
      # Width of the column of names, in characters.
      WIDTH = 14
      private_constant :FORMATS, :NAMES, :WRAPS, :SUITES, :DESCRIPTIONS, :TAG, :WIDTH

      # @param place [String]
      # @param size [Integer] size of the stored body, in bytes
      # @param entries [Hash{String => String}] names without the `x-amz-meta-` prefix
      def initialize(place, size, entries)
        @place = place
        @size = size
        @entries = entries.transform_keys(&:downcase)
        @formats = FORMATS.select { |name, _| @entries.key?(name) }.values
      end

      # @return [Array<String>]
      # @raise [EnvelopeError] when there is no envelope, or more than one
      def lines
        refuse_unclear
        { "object" => @place, "format" => NAMES.fetch(format), "content" => content, "key wrapping" => wrapping,
          "key id" => key_id || "(none)", "stored" => "#{@size} bytes", "plaintext" => plaintext }
          .map { |name, value| "#{"#{name}:".ljust(WIDTH)} #{printable(value)}" }
      end

      private

      def format = @formats.first

      def refuse_unclear
        return if @formats.one?

        reason = @formats.empty? ? "has no envelope. Perhaps it is in an instruction file" : "has several envelopes"
        raise EnvelopeError, "#{@place}: the metadata #{reason}"
      end

      def content
        case format
        when :v3 then suite = @entries["x-amz-c"] and SUITES.fetch(suite, "unknown suite #{suite}")
        when :v1 then "AES-CBC, not authenticated"
        else cbc? ? "#{@entries["x-amz-cek-alg"]}, not authenticated" : "#{@entries["x-amz-cek-alg"]} (AES-256)"
        end
      end

      def wrapping
        case format
        when :v3 then WRAPS.fetch(@entries["x-amz-w"], "unknown algorithm #{@entries["x-amz-w"]}")
        when :v1 then @entries.fetch("x-amz-wrap-alg", "not named")
        else @entries["x-amz-wrap-alg"]
        end
      end

      def key_id
        description = DESCRIPTIONS.filter_map { |name| @entries[name] }.first or return
        parsed = JSON.parse(description)
        parsed["key_id"] if parsed.is_a?(Hash)
      rescue JSON::ParserError
        "(the material description is not JSON)"
      end

      def plaintext
        return "#{@size - TAG} bytes" if !cbc? && @size >= TAG
        return "unknown: the body is too short for an encrypted object" unless cbc?

        noted = @entries["x-amz-unencrypted-content-length"]
        noted ? "#{noted} bytes according to its writer" : "unknown until it is decrypted"
      end

      def cbc? = format == :v1 || @entries["x-amz-cek-alg"].to_s.include?("CBC")

      # Anybody who can write to the bucket chooses these texts, and a terminal obeys control characters.
      def printable(value) = value.to_s[0, 200].scrub("?").gsub(/[^[:print:]]/, "?")
    end
  end
end
