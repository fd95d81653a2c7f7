# frozen_string_literal: true

require "openssl"

# Decrypts objects of Amazon's S3 EncryptionV2 and V3 formats with OpenSSL alone, following the published format, so
# that the specs do not check the gem's output with the gem's own code.
module EnvelopeDecryptor
  CONTENT_ALGORITHM = "AES/GCM/NoPadding"
  PREFIX = "x-amz-meta-x-amz-"
  SUITE = "\x00\x73".b

  module_function

  # @param headers [Hash{String => String}] of the stored object, names in lower case
  # @param body [String] as it is stored
  # @param key [String, OpenSSL::PKey::RSA] the key that wraps the data key: 32 bytes, or a private key
  # @return [String] the plaintext
  def decrypt(headers, body, key)
    headers.key?("#{PREFIX}3") ? decrypt_v3(headers, body, key) : decrypt_v2(headers, body, key)
  end

  def decrypt_v2(headers, body, key)
    expect(headers, "wrap-alg", key.is_a?(String) ? "AES/GCM" : "RSA-OAEP-SHA1")
    expect(headers, "cek-alg", CONTENT_ALGORITHM)
    expect(headers, "tag-len", "128")
    data_key = unwrap(bytes(headers, "key-v2"), key, CONTENT_ALGORITHM)
    gcm(data_key, bytes(headers, "iv"), body)
  end

  def decrypt_v3(headers, body, key)
    expect(headers, "w", key.is_a?(String) ? "02" : "22")
    expect(headers, "c", "115")
    data_key = unwrap(bytes(headers, "3"), key, "115")
    raise "another commitment" unless derive(headers, data_key, "COMMITKEY", 28) == bytes(headers, "d")

    gcm(derive(headers, data_key, "DERIVEKEY", 32), "\x01".b * 12, body, SUITE)
  end

  def derive(headers, data_key, label, length)
    OpenSSL::KDF.hkdf(data_key, salt: bytes(headers, "i"), info: SUITE + label, length: length, hash: "SHA512")
  end

  def unwrap(wrapped, key, bound)
    return unwrap_by_rsa(wrapped, key, bound) unless key.is_a?(String)
    raise "a wrapped key has 60 bytes, not #{wrapped.bytesize}" unless wrapped.bytesize == 60

    gcm(key, wrapped.byteslice(0, 12), wrapped.byteslice(12..), bound)
  end

  def unwrap_by_rsa(wrapped, key, bound)
    payload = key.private_decrypt(wrapped, OpenSSL::PKey::RSA::PKCS1_OAEP_PADDING)
    raise "wrapped for something else" unless payload[0] == "\x20" && payload.byteslice(33..) == bound

    payload.byteslice(1, 32)
  end

  def gcm(key, nonce, sealed, associated_data = "")
    cipher = OpenSSL::Cipher.new("aes-256-gcm").decrypt
    cipher.key = key
    cipher.iv = nonce
    cipher.auth_tag = sealed.byteslice(-16, 16)
    cipher.auth_data = associated_data
    ciphertext = sealed.byteslice(0, sealed.bytesize - 16)
    (ciphertext.empty? ? +"" : cipher.update(ciphertext)) + cipher.final
  end

  def bytes(headers, name) = entry(headers, name).unpack1("m0")

  def entry(headers, name) = headers.fetch(PREFIX + name)

  def expect(headers, name, value)
    found = entry(headers, name)
    raise "#{name} is #{found}, not #{value}" unless found == value
  end
end
