# frozen_string_literal: true

module EncryptedS3Service
  # For objects that hold secrets: no way Ruby or Rails has of turning an object into text shows an instance variable.
  # The including class says what may be shown in `public_attributes`.
  # @api private
  module Confidential
    # @return [String] the class and what may be shown of the object
    def inspect
      shown = public_attributes.map { |name, value| " #{name}=#{value.inspect}" }.join
      "#<#{self.class.name}#{shown}>"
    end
    alias to_s inspect

    # Asked by `pp` and `irb`.
    # @param printer [PP]
    def pretty_print(printer) = printer.text(inspect)
    alias pretty_print_cycle pretty_print

    # @raise [TypeError] always: a dump would hold the secrets
    def marshal_dump
      raise TypeError, "#{self.class.name} holds secrets and cannot be dumped"
    end

    # Asked by YAML.
    # @raise [TypeError] always: a dump would hold the secrets
    def encode_with(_coder) = marshal_dump

    # Asked by Active Support's JSON encoding.
    # @return [String] the same as {#inspect}
    def as_json(*) = inspect

    # @return [String] JSON of {#inspect}
    def to_json(*) = inspect.to_json
  end
end
