# frozen_string_literal: true

module EncryptedS3Service
  # Copies of secrets that can be wiped. This is no guarantee, because Ruby may have copied a String in memory before.
  # @api private
  module SecretBytes
    module_function

    # @param secret [String]
    # @return [String] a binary copy that shares no memory with it; no other copy is made on the way
    def copy(secret)
      copy = String.new(capacity: secret.bytesize, encoding: Encoding::BINARY)
      secret.each_byte { |byte| copy << byte }
      copy
    end

    # @param secret [String] overwritten with zeros, unless it is frozen
    # @return [void]
    def wipe(secret)
      return if secret.frozen?

      secret.bytesize.times { |index| secret.setbyte(index, 0) }
      nil
    end
  end
end
