# frozen_string_literal: true

require "yaml"

module EncryptedS3Service
  module Generators
    # Adds `encrypted_s3: encryption_key:` to the decrypted text of an application's credentials. All other bytes,
    # including comments and order, are kept.
    # @api private
    class CredentialsEntry
      # Raised when the text cannot be changed. The message gives the reason and never quotes the text.
      class Refusal < StandardError; end

      # Section and name of the entry.
      PATH = %w[encrypted_s3 encryption_key].freeze

      BY_HAND = "Add `encrypted_s3: encryption_key:` with `bin/rails credentials:edit` and a key from " \
                "`bin/rails encrypted_s3_service:generate_key`."
      private_constant :BY_HAND

      # @param text [String] YAML
      # @raise [Refusal] when the text is not a YAML mapping
      def initialize(text)
        @text = text.dup.force_encoding(Encoding::UTF_8)
        @values = parse(@text)
      end

      # @return [Boolean] whether the entry has a value
      def there?
        section = @values[PATH.first]
        section.is_a?(Hash) ? !blank?(section[PATH.last]) : !blank?(section)
      end

      # @param key [String]
      # @return [String] the text with the key added
      # @raise [Refusal] when the entry exists, or the key cannot be inserted safely
      def add(key)
        raise Refusal, "The credentials already have an encrypted_s3.encryption_key. It is not replaced." if there?

        added = insert(%(encryption_key: "#{key}"))
        # The YAML may have a form that the insertion does not handle.
        return added if parse(added) == expected(key)

        raise Refusal, "The key cannot be inserted safely into these credentials. #{BY_HAND}"
      end

      private

      def parse(text)
        raise Refusal, "The credentials are not valid UTF-8. #{BY_HAND}" unless text.valid_encoding?

        values = YAML.unsafe_load(text) || {}
        raise Refusal, "The credentials are not a YAML mapping. #{BY_HAND}" unless values.is_a?(Hash)

        values
      rescue Psych::Exception
        # The error's message would quote the text.
        raise Refusal, "The credentials are not valid YAML."
      end

      def expected(key) = @values.merge(PATH.first => (@values[PATH.first] || {}).merge(PATH.last => key))

      def blank?(value) = value.nil? || value == "" || value == {}

      def insert(line)
        name, section = section_nodes
        return append("#{PATH.first}:\n  #{line}\n") unless name

        lines = @text.lines
        lines[name.end_line] = "#{lines[name.end_line]}\n" unless lines[name.end_line].end_with?("\n")
        lines.insert(name.end_line + 1, "#{indentation(section)}#{line}\n").join
      end

      # @return [Array(Psych::Nodes::Node, Psych::Nodes::Node), nil] name and content of the section; nil when missing
      def section_nodes
        root = (YAML.parse(@text) || nil)&.root
        return unless root&.mapping?

        root.children.each_slice(2).find { |name, _| name.respond_to?(:value) && name.value == PATH.first }
      end

      def indentation(section)
        first = section.mapping? ? section.children.first : nil
        " " * (first ? first.start_column : 2)
      end

      def append(section)
        gap = if @text.strip.empty? then ""
              else
                @text.end_with?("\n") ? "\n" : "\n\n"
              end
        "#{@text}#{gap}#{section}"
      end
    end
  end
end
