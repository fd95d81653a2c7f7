# frozen_string_literal: true

require "yaml"

module EncryptedS3Service
  module Generators
    # Checks whether an entry can be appended to a storage.yml. After entries in braces, indented entries or the end of
    # a document (`...`) the result would not be valid YAML, and the application would not boot.
    # @api private
    class StorageForm
      # ERB tags that are replaced by a value.
      VALUE = /<%=.*?%>/m
      # ERB tags that are removed.
      CODE = /<%.*?%>/m
      private_constant :VALUE, :CODE

      # @param text [String] the file; its ERB is not evaluated, because that may need secrets
      def initialize(text)
        @text = text
      end

      # @param entry [String] YAML with ERB
      # @param name [String] its name
      # @return [Boolean] whether the file has the former entries and this one after it was appended. True for a file
      #   whose form is not known without evaluating it
      def takes?(entry, name)
        former = names(@text)
        former.nil? || names("#{@text}#{entry}") == [*former, name]
      end

      private

      # @return [Array<String>, nil] the entries' names; nil when it is not YAML with entries
      def names(text)
        root = YAML.parse_stream(text.gsub(VALUE, "value").gsub(CODE, "")).children.map(&:root)
        return [] if root.all? { |one| one.scalar? && one.value.empty? }

        root.first.children.each_slice(2).map { |name, _| name.value } if root.one? && root.first.mapping?
      rescue Psych::SyntaxError
        nil
      end
    end
  end
end
