# frozen_string_literal: true

require_relative "envelope_decryptor"

# Searches a bucket after Active Storage was used: every object there must be encrypted.
module EncryptedObjects
  # Samples of the plaintext, evenly spread, to search for in the stored bytes: bytes per sample, and their number.
  PIECE = 16
  PIECES = 100

  # @return [Array<String>] the keys of all objects that the block added to the bucket
  def objects_added(name = bucket)
    before = server.list(name)
    yield
    server.list(name) - before
  end

  # @param key [String] of an object in the bucket
  # @return [String] its plaintext, decrypted with OpenSSL alone
  # @raise [RuntimeError] unless the object is encrypted and contains no part of its plaintext
  def decrypted(key, name: bucket, encryption_key: TestStore::KEY)
    status, headers, body = server.get(name, key)
    raise "GET #{key} answered #{status}" unless status == 200

    plaintext = EnvelopeDecryptor.decrypt(headers, body, encryption_key)
    raise "#{key} shows its plaintext" if pieces_of(plaintext).any? { |piece| body.include?(piece) }

    plaintext
  end

  def pieces_of(text)
    step = [PIECE, text.bytesize / PIECES].max
    (0..(text.bytesize - PIECE)).step(step).map { |from| text.byteslice(from, PIECE) }
  end

  # @param keys [Array<String>]
  # @return [Hash{String => String}] the plaintext of each object by its key
  def all_decrypted(keys, **) = keys.to_h { |key| [key, decrypted(key, **)] }
end
