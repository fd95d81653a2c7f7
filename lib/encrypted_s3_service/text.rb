# frozen_string_literal: true

module EncryptedS3Service
  # Text that the core takes, which knows UTF-8 only.
  # @api private
  module Text
    # Encodings that say nothing of the text. In the locale C, Ruby has names of folders, arguments and variables of the
    # environment in these.
    BYTES = [Encoding::BINARY, Encoding::US_ASCII].freeze
    private_constant :BYTES

    # @param text [String] in any encoding
    # @return [String, nil] a copy in UTF-8; nil if it is not valid
    def self.utf8(text)
      copy = BYTES.include?(text.encoding) ? text.dup.force_encoding(Encoding::UTF_8) : text.encode(Encoding::UTF_8)
      copy if copy.valid_encoding?
    rescue EncodingError
      nil
    end
  end
end
