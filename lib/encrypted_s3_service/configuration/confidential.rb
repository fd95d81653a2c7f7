# frozen_string_literal: true

module EncryptedS3Service
  # For objects with secrets: hides instance variables in every textual representation of Ruby and Rails. The including
  # class returns the visible attributes in `public_attributes`.
  # @api private
  module Confidential
    # @return [String] the class and the public attributes
    def inspect
      shown = public_attributes.map { |name, value| " #{name}=#{value.inspect}" }.join
      "#<#{self.class.name}#{shown}>"
    end
    alias to_s inspect

    # Used by `pp` and `irb`.
    # @param printer [PP]
    def pretty_print(printer) = printer.text(inspect)
    alias pretty_print_cycle pretty_print

    # @raise [TypeError] always, because a dump would contain the secrets
    def marshal_dump
      raise TypeError, "#{self.class.name} contains secrets and cannot be dumped."
    end

    # Used by YAML.
    # @raise [TypeError] always, because a dump would contain the secrets
    def encode_with(_coder) = marshal_dump

    # Used by Active Support's JSON encoding.
    # @return [String] {#inspect}
    def as_json(*) = inspect

    # @return [String] JSON of {#inspect}
    def to_json(*) = inspect.to_json
  end
end
