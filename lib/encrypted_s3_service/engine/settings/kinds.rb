# frozen_string_literal: true

module EncryptedS3Service
  class Engine
    class Settings
      # The types of settings: a description for messages and a test.
      # @api private
      module Kinds
        # @!attribute [r] description
        #   @return [String] continues "must be"
        # @!attribute [r] test
        #   @return [#call] receives the value and the options of the setting
        Kind = Struct.new(:description, :test)

        # The name of a class or module.
        CONSTANT = /\A(::)?[A-Z]\w*(::[A-Z]\w*)*\z/
        # A class and an attribute of it.
        ATTRIBUTE = /\A(::)?[A-Z]\w*(::[A-Z]\w*)*\.[a-z_]\w*\z/

        # An origin (RFC 6454): scheme, host and optional port.
        ORIGIN = %r{\A[a-z][a-z0-9+.-]*://[^/\s,;]+\z}i
        # A source in a content security policy.
        SOURCE = /\A[^\s,;]+\z/

        class << self
          # @param kind [Symbol] one of {ALL}
          # @param value [Object] not nil
          # @param options [Hash] `within:` or `one_of:` of the setting
          # @return [String, nil] the requirement that the value does not meet; nil when it is valid
          def problem(kind, value, options = {})
            kind = ALL.fetch(kind)
            return if kind.test.call(value, options)

            "must be #{kind.description}#{limits(options)}"
          end

          private

          def limits(options)
            within, one_of = options.values_at(:within, :one_of)
            return " (#{one_of.map(&:inspect).join(", ")})" if one_of
            return unless within

            within.end ? " from #{within.begin} to #{within.end}" : " of at least #{within.begin}"
          end

          def name?(value) = value.is_a?(Symbol) || (value.is_a?(String) && !value.empty?)

          def constant?(value) = name?(value) && CONSTANT.match?(value.to_s)

          def origin?(value)
            value == "*" || value.is_a?(Regexp) || (value.is_a?(String) && ORIGIN.match?(value))
          end

          def host?(options) = options.is_a?(Hash) && options.to_h.symbolize_keys[:host].present?

          def all?(value, &) = !value.is_a?(Hash) && Array(value).all?(&)

          def within?(value, options) = options.fetch(:within, nil)&.cover?(value) != false

          def number?(value) = value.is_a?(Numeric) || value.is_a?(ActiveSupport::Duration)

          def hash_of?(value)
            value.is_a?(Hash) && value.all? { |name, element| name?(name) && yield(element) }
          end
        end

        # All types by name.
        ALL = {
          boolean: Kind.new("true or false", ->(value, _) { [true, false].include?(value) }),
          integer: Kind.new("a whole number",
                            ->(value, options) { value.is_a?(Integer) && within?(value, options) }),
          seconds: Kind.new("a number of seconds (for example 5.minutes)",
                            ->(value, options) { number?(value) && within?(value.to_f, options) }),
          seconds_or_never: Kind.new("a number of seconds (for example 5.minutes) or false",
                                     lambda { |value, options|
                                       value == false || (number?(value) && within?(value.to_f, options))
                                     }),
          choice: Kind.new("one of the known values", ->(value, options) { options.fetch(:one_of).include?(value) }),
          text: Kind.new("a String", ->(value, _) { value.is_a?(String) }),
          names: Kind.new("a name or an Array of names",
                          ->(value, _) { !value.is_a?(Hash) && Array(value).all? { |name| name?(name) } }),
          class_name: Kind.new("the name of a class as a String, for example \"ApplicationController\"",
                               ->(value, _) { constant?(value) }),
          concerns: Kind.new("the name of a module as a String, an Array of such names, or true",
                             ->(value, _) { [true, false].include?(value) || Array(value).all? { constant?(_1) } }),
          attribute: Kind.new("a class and an attribute as a String, for example \"Current.organisation\"",
                              ->(value, _) { name?(value) && ATTRIBUTE.match?(value.to_s) }),
          url_options: Kind.new("a Hash with a host, for example { host: \"www.example.com\" }",
                                ->(value, _) { host?(value) }),
          origins: Kind.new("an origin without a path or an Array of them, for example \"https://app.example.com\", " \
                            "a Regexp, or \"*\"", ->(value, _) { all?(value) { origin?(_1) } }),
          frame_sources: Kind.new("a source or an Array of them, for example \"'self'\" or \"https://example.com\"",
                                  ->(value, _) { all?(value) { _1.is_a?(String) && SOURCE.match?(_1) } }),
          callable: Kind.new("a lambda or another object that responds to `call`",
                             ->(value, _) { value.respond_to?(:call) }),
          custodian: Kind.new("an object that responds to `unwrap`", ->(value, _) { value.respond_to?(:unwrap) }),
          callables: Kind.new("a Hash of names and lambdas",
                              ->(value, _) { hash_of?(value) { |element| element.respond_to?(:call) } }),
          key_sources: Kind.new("a Hash of names of services and of key sources (objects that respond to `call(id)` " \
                                "or `[](id)`)",
                                lambda { |value, _|
                                  hash_of?(value) { |source| source.respond_to?(:call) || source.respond_to?(:[]) }
                                })
        }.freeze
      end
    end
  end
end
