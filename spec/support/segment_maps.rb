# frozen_string_literal: true

require "openssl"
require_relative "envelope_decryptor"

# Makes segment maps of V2 objects from docs/format.md with OpenSSL alone, so that what the gem reads is not judged by
# what the gem writes.
module SegmentMaps
  SALT = "encrypted_s3_service/segments/v1"
  SEGMENT = 65_536

  module_function

  # @param headers [Hash{String => String}] of the stored object, names in lower case
  # @param body [String] as it is stored
  # @param key [String] what wraps the data key
  # @return [String] the content of `<key>.segments`
  def sidecar(headers, body, key)
    data_key = EnvelopeDecryptor.unwrap(EnvelopeDecryptor.bytes(headers, "key-v2"), key,
                                        EnvelopeDecryptor::CONTENT_ALGORITHM)
    text = body.byteslice(0, body.bytesize - 16)
    descriptor = ["ES3SEGMT", 1, 2, 0, SEGMENT, EnvelopeDecryptor.bytes(headers, "iv"), 0].pack("a8CCnNa28N")
    statement = [descriptor, text.bytesize, 0].pack("a48Q>Q>")
    statement + derive(data_key, "#{statement}commitment") +
      tags(text, derive(data_key, "#{descriptor}segment key")).join
  end

  def derive(data_key, info)
    OpenSSL::KDF.hkdf(data_key, salt: SALT, info: info, length: 32, hash: "SHA512")
  end

  def tags(text, key)
    (0...text.bytesize).step(SEGMENT).map.with_index do |first, number|
      cipher = OpenSSL::Cipher.new("aes-256-gcm").encrypt
      cipher.key = key
      cipher.iv = [0, number].pack("NQ>")
      cipher.auth_data = text.byteslice(first, SEGMENT)
      cipher.final
      cipher.auth_tag
    end
  end
end
