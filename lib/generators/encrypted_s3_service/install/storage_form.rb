# frozen_string_literal: true

require "yaml"

module EncryptedS3Service
  module Generators
    # The form of a storage.yml to which an entry is appended. Behind entries in braces, indented entries and the end of
    # a document (`...`) the result would be no valid YAML, and the application would not boot.
    # @api private
    class StorageForm
      # What ERB replaces by a value, and what it leaves out.
      VALUE = /<%=.*?%>/m
      # (see VALUE)
      CODE = /<%.*?%>/m
      private_constant :VALUE, :CODE

      # @param text [String] the file; its ERB is not evaluated, because that may need secrets
      def initialize(text)
        @text = text
      end

      # @param entry [String] YAML with ERB
      # @param name [String] its name
      # @return [Boolean] whether the file has the entry when it is appended, and the former ones. True for a file whose
      #   form cannot be known without evaluating it
      def takes?(entry, name)
        former = names(@text)
        former.nil? || names("#{@text}#{entry}") == [*former, name]
      end

      private

      # @return [Array<String>, nil] the entries' names; nil when it is no YAML with entries
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
