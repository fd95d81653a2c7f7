# frozen_string_literal: true

module EncryptedS3Service
  # Converts text for the core, which accepts only UTF-8.
  # @api private
  module Text
    # Encodings of text whose real encoding is unknown. In the locale C, Ruby uses them for names of folders, arguments
    # and environment variables.
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
