# frozen_string_literal: true

require "json"
require_relative "input_file"

module EncryptedS3Service
  class CLI
    # An object's metadata in JSON.
    # @api private
    module MetadataFile
      # The prefix of the entries' names in HTTP.
      PREFIX = /\Ax-amz-meta-/i
      private_constant :PREFIX

      module_function

      # @param path [String]
      # @return [Hash{String => String}] entries without the prefix
      # @raise [FileError]
      def read(path)
        raise FileError, missing(path) unless File.exist?(path)

        text = InputFile.read(path)
        begin
          parse(text)
        rescue FileError => e
          raise FileError, "#{path} #{e.message}"
        end
      end

      def missing(path)
        "#{path} is missing. Save the object's metadata in it, as `aws s3api head-object` prints them; the object " \
          "cannot be decrypted without them"
      end
      private_class_method :missing

      # @param text [String] bytes in UTF-8: the output of `aws s3api head-object` or `get-object`, or a JSON object of
      #   names and values
      # @return [Hash{String => String}]
      # @raise [FileError]
      def parse(text)
        json = JSON.parse(text.dup.force_encoding(Encoding::UTF_8).delete_prefix("\uFEFF"))
        entries = json.is_a?(Hash) && json["Metadata"].is_a?(Hash) ? json["Metadata"] : json
        unless entries.is_a?(Hash)
          raise FileError, "is neither a JSON object of names and values nor one with them under \"Metadata\""
        end

        entries.select { |_, value| value.is_a?(String) || value.is_a?(Integer) }
               .to_h { |name, value| [name.sub(PREFIX, "").downcase, value.to_s] }
      rescue JSON::ParserError
        raise FileError, "is not JSON"
      end
    end
  end
end
