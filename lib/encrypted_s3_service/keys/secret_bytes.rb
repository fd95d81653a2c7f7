# frozen_string_literal: true

module EncryptedS3Service
  # Copies of secrets that can be wiped. Ruby may have moved a String in memory before, so wiping is the best that Ruby
  # code can do and no guarantee.
  # @api private
  module SecretBytes
    module_function

    # @param secret [String]
    # @return [String] binary, with memory of its own
    def copy(secret) = String.new(capacity: secret.bytesize, encoding: Encoding::BINARY) << secret.b

    # @param secret [String] overwritten with zeros, unless it is frozen
    # @return [void]
    def wipe(secret)
      return if secret.frozen?

      secret.bytesize.times { |index| secret.setbyte(index, 0) }
      nil
    end
  end
end
