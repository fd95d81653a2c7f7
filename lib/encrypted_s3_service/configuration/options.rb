# frozen_string_literal: true

require_relative "confidential"
require_relative "../errors"
require_relative "../text"
require_relative "foreign_names"

module EncryptedS3Service
  class Configuration
    # Reads and validates the values of a settings hash. Values come from YAML, ERB and the environment, so "true" and
    # "3" are read as true and 3, and an empty string as missing. Messages name the setting and never quote a secret.
    # @api private
    class Options
      include Confidential

      # Matches a long name made of words. A random key does not match.
      WORDS = %r{\A[a-z0-9]{1,19}(?:[_.:/ -]+[a-z0-9]{1,19})*\z}
      private_constant :WORDS

      # Returns a setting's name for messages. A name can be a key by mistake, if ids and keys were exchanged or YAML is
      # indented wrongly.
      # @param name [Symbol, String, Integer]
      # @return [String] the name, or a placeholder when it could be a key
      def self.label(name)
        text = name.to_s
        likely_key = text.start_with?("base64:", "-----BEGIN") || (text.bytesize >= 24 && !text.match?(WORDS))
        likely_key ? "[#{text.bytesize} characters that may be a key]" : text
      end

      # @param given [Hash{Symbol, String => Object}] the settings; not changed
      # @param within [String, nil] name of the setting that contains this hash, for messages
      def initialize(given, within: nil)
        @given = given.transform_keys(&:to_sym)
        @within = within
      end

      # @param known [Array<Symbol>] all valid settings
      # @return [void]
      # @raise [ConfigurationError] for another setting; it suggests a similar one, or explains why an option of
      #   Amazon's SDK is not supported
      def refuse_unknown(known)
        name, = @given.except(*known).find { |name, value| !ForeignNames.without_effect?(name, value) }
        return if name.nil?

        refuse name, ForeignNames::REASONS.fetch(name) { "is not a setting of EncryptedS3#{suggestion(name, known)}" }
      end

      # @return [Object, nil] the given value; nil when it is blank
      def raw(name)
        value = @given[name]
        value unless value == ""
      end

      # @return [Boolean] whether a value is given, even a blank one
      def given?(name) = !@given[name].nil?

      # @return [String, nil] frozen
      def string(name)
        value = raw(name)
        return if value.nil?

        text = value.is_a?(String) || value.is_a?(Symbol)
        refuse name, "must be a String#{quoting(value)}, not #{value.class}" unless text

        text(name, value.to_s)
      end

      # @return [String, nil] any text; messages never quote it
      def secret(name)
        value = raw(name)
        return value if value.nil? || value.is_a?(String)

        refuse name, "must be a String (quote it in YAML), not #{value.class}"
      end

      # @return [String, nil] a path, which can be given as a Pathname
      def path(name)
        value = raw(name)
        value.respond_to?(:to_path) ? text(name, value.to_path) : string(name)
      end

      # @return [Boolean]
      def boolean(name, default)
        case raw(name)
        when nil then default
        when true, "true" then true
        when false, "false" then false
        else refuse name, "must be true or false"
        end
      end

      # @return [Integer]
      def integer(name, default, within)
        value = raw(name)
        return default if value.nil?

        number = value.is_a?(String) ? Integer(value, 10, exception: false) : value
        refuse name, "must be a whole number" unless number.is_a?(Integer)
        refuse name, "must be #{bounds(within)}, not #{number}" unless within.cover?(number)
        number
      end

      # @return [Float]
      def seconds(name, default)
        value = raw(name)
        return default if value.nil?

        number = Float(value.respond_to?(:to_f) && !value.is_a?(String) ? value.to_f : value, exception: false)
        refuse name, "must be a number of seconds above 0" unless number&.finite? && number&.positive?
        number
      end

      # @return [String]
      def choice(name, default, choices)
        value = string(name)
        return default if value.nil?

        choices.include?(value) ? value : refuse(name, "must be one of #{choices.join(", ")}")
      end

      # @return [Configuration::Options] options of a nested hash
      def nested(name)
        value = raw(name)
        refuse name, "must be a Hash of settings, not #{value.class}" unless value.nil? || value.is_a?(Hash)
        Options.new(value || {}, within: name.to_s)
      end

      # @raise [ConfigurationError] always
      def refuse(name, problem)
        raise ConfigurationError, "#{[@within, Options.label(name)].compact.join(".")} #{problem}"
      end

      private

      def text(name, value)
        text = Text.utf8(value)
        return text.freeze if text && !text.match?(/[\0\r\n]/)

        refuse name, "must be valid UTF-8 without line breaks"
      end

      def public_attributes = { within: @within, given: @given.keys }

      # YAML reads many texts without quotes as another value: `2024`, `no`, `2024-01-01`.
      def quoting(value) = (" (quote it in YAML)" unless value.is_a?(Enumerable))

      def bounds(range) = range.end ? "from #{range.begin} to #{range.end}" : "at least #{range.begin}"

      def suggestion(name, known)
        return "" unless defined?(DidYouMean::SpellChecker)

        likely = DidYouMean::SpellChecker.new(dictionary: known.map(&:to_s)).correct(name.to_s).first
        likely ? ". Did you mean #{likely}?" : ""
      end
    end
  end
end
