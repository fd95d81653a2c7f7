# frozen_string_literal: true

require "openssl"
require_relative "envelope_decryptor"

# Computes the segment map of a stored object with OpenSSL alone, as specified in docs/format.md (3), so that the specs
# do not check the gem's output with the gem's own code.
module SegmentMap
  SALT = "encrypted_s3_service/segments/v1"
  SEGMENT = 65_536

  module_function

  # @param headers [Hash{String => String}] of the stored object, names in lower case
  # @param body [String] as it is stored
  # @param wrapping_key [String] 32 bytes
  # @return [String] the expected content of `<key>.segments`
  def of(headers, body, wrapping_key)
    text = body.byteslice(0, body.bytesize - 16)
    data_key, descriptor = opened(headers, wrapping_key)
    statement = descriptor + [text.bytesize].pack("Q>") + ("\0" * 8)
    header = statement + derive(data_key, statement, "commitment")
    key = derive(data_key, descriptor, "segment key")
    tags = (0...(text.bytesize.fdiv(SEGMENT).ceil)).map { |number| tag(key, number, text) }
    (header + tags.join).b
  end

  def opened(headers, wrapping_key)
    version, name, id, bound = if headers.key?("#{EnvelopeDecryptor::PREFIX}3")
                                 [3, "3", "i", "115"]
                               else
                                 [2, "key-v2", "iv", EnvelopeDecryptor::CONTENT_ALGORITHM]
                               end
    data_key = EnvelopeDecryptor.unwrap(EnvelopeDecryptor.bytes(headers, name), wrapping_key, bound)
    id = EnvelopeDecryptor.bytes(headers, id).ljust(28, "\0")
    [data_key, ["ES3SEGMT", 1, version, 0, SEGMENT].pack("a8CCnN").b + id + ("\0" * 4)]
  end

  def derive(data_key, info, label)
    OpenSSL::KDF.hkdf(data_key, salt: SALT, info: info.b + label, length: 32, hash: "SHA512")
  end

  def tag(key, number, text)
    cipher = OpenSSL::Cipher.new("aes-256-gcm").encrypt
    cipher.key = key
    cipher.iv = ("\0" * 4) + [number].pack("Q>")
    cipher.auth_data = text.byteslice(number * SEGMENT, SEGMENT)
    cipher.final
    cipher.auth_tag
  end
end
