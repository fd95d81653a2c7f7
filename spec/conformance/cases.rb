# frozen_string_literal: true

require_relative "conformance_helper"
require_relative "peers"

module Conformance
  # Helpers of the cases. The suite's names of the algorithms stand for the formats: CBC (V1, or V2 with AES-CBC), GCM
  # (V2), KC-GCM (V3).
  module Cases
    POLICIES = %w[FORBID_ENCRYPT_ALLOW_DECRYPT REQUIRE_ENCRYPT_ALLOW_DECRYPT REQUIRE_ENCRYPT_REQUIRE_DECRYPT].freeze
    FORBID, ALLOW, REQUIRE = POLICIES
    GCM = "ALG_AES_256_GCM_IV12_TAG16_NO_KDF"
    KC_GCM = "ALG_AES_256_GCM_HKDF_SHA512_COMMIT_KEY"
    CBC = "ALG_AES_256_CBC_IV16_NO_KDF"
    LEGACY = { enableLegacyUnauthenticatedModes: true, enableLegacyWrappingAlgorithms: true }.freeze
    AES = TestStore::KEY
    RSA = OpenSSL::PKey::RSA.new(2048)

    # @return [Hash] the model's KeyMaterial
    def material(key, **description)
      return { kmsKeyId: key } if key.is_a?(String) && key.start_with?("arn:")

      kind = key.is_a?(String) ? { aesKey: [key].pack("m0") } : { rsaKey: [key.private_to_der].pack("m0") }
      description.empty? ? kind : { **kind, materialsDescription: description }
    end

    # @return [Conformance::Connection] a client of ours behind the model
    def ours(key = AES, **config) = Connection.new(keyMaterial: material(key), **config)

    def refused(message = nil) = raise_error(S3EncryptionClientError, message)

    # Detected as in the suite: from the object's own metadata, or else from its instruction file.
    # @return [String] GCM, KC_GCM or CBC
    def algorithm_of(key)
      entries = entries_of(key)
      entries = instruction_file(key) unless entries.keys.intersect?(%w[x-amz-c x-amz-cek-alg x-amz-key])
      return KC_GCM if entries.key?("x-amz-c")

      entries.fetch("x-amz-cek-alg", "CBC").include?("CBC") ? CBC : GCM
    end

    # @return [Hash{String => String}] the metadata of an object in the bucket, with the prefix of the names removed
    def entries_of(key)
      stored(key).first.select { |name, _| name.start_with?("x-amz-meta-") }
                 .transform_keys { |name| name.delete_prefix("x-amz-meta-") }
    end

    # @return [Hash{String => String}]
    def instruction_file(key, suffix = ".instruction") = JSON.parse(stored("#{key}#{suffix}").last)

    # Stores a copy of an object, with the metadata and the instruction file that the block returns. The copy has no
    # entry that binds our objects to their keys, so that it is refused only because of the change in it.
    # @return [String] its key
    def copy(key, instruction: nil)
      entries = entries_of(key).except("encrypted-s3-place")
      entries, instruction = yield(entries, instruction) if block_given?
      copied = "#{key}-copy-#{SecureRandom.hex(4)}"
      restore(copied, entries.transform_keys { |name| "x-amz-meta-#{name}" }, stored(key).last)
      server.put(bucket, "#{copied}.instruction", JSON.generate(instruction), {}) if instruction
      copied
    end

    # Moves the entries that the format allows in an instruction file from the object into such a file.
    # @return [String] the key of the copy
    def with_instruction_file(key)
      copy(key) do |entries|
        v3 = entries.key?("x-amz-3")
        file, object = entries.partition { |name, _| v3 ? name.match?(/\Ax-amz-[3wmt]\z/) : name.start_with?("x-amz-") }
                              .map(&:to_h)
        [object, file]
      end
    end

    def flip_a_bit(base64, bit)
      bytes = base64.unpack1("m0")
      bytes.setbyte(bit / 8, bytes.getbyte(bit / 8) ^ (1 << (bit % 8)))
      [bytes].pack("m0")
    end
  end
end

RSpec.shared_context "with the conformance server" do
  include Conformance::Cases

  let(:key) { unique_key }
  let(:text) { "the text of #{key}" }
end
