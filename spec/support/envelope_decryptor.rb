# frozen_string_literal: true

require "openssl"

# Opens objects of Amazon's S3 EncryptionV2 format with OpenSSL alone, as the format is published: so that what the gem
# writes is not judged by what the gem reads.
module EnvelopeDecryptor
  CONTENT_ALGORITHM = "AES/GCM/NoPadding"
  PREFIX = "x-amz-meta-x-amz-"

  module_function

  # @param headers [Hash{String => String}] of the stored object, names in lower case
  # @param body [String] as it is stored
  # @param key [String] the 32 bytes that wrap the data key
  # @return [String] the plaintext
  def decrypt(headers, body, key)
    expect(headers, "wrap-alg", "AES/GCM")
    expect(headers, "cek-alg", CONTENT_ALGORITHM)
    expect(headers, "tag-len", "128")
    gcm(data_key(headers, key), entry(headers, "iv").unpack1("m0"), body)
  end

  def data_key(headers, key)
    wrapped = entry(headers, "key-v2").unpack1("m0")
    raise "a wrapped key has 60 bytes, not #{wrapped.bytesize}" unless wrapped.bytesize == 60

    gcm(key, wrapped.byteslice(0, 12), wrapped.byteslice(12..), CONTENT_ALGORITHM)
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

  def entry(headers, name) = headers.fetch(PREFIX + name)

  def expect(headers, name, value)
    found = entry(headers, name)
    raise "#{name} is #{found}, not #{value}" unless found == value
  end
end
