# frozen_string_literal: true

require_relative "../../errors"

module EncryptedS3Service
  # What the tasks that go through all files have in common.
  # @api private
  module TaskRun
    # What a task is told by `NAME=value`.
    class Environment
      # @param variables [Hash{String => String}]
      def initialize(variables)
        @variables = variables
      end

      # @param name [String]
      # @return [String, nil] nil where it is empty, too
      def text(name) = @variables[name].presence

      # A misspelt "yes" must not make a dry run a wet one.
      # @param name [String]
      # @return [Boolean]
      # @raise [ConfigurationError]
      def switch(name)
        case @variables[name].to_s
        when "true", "1" then true
        when "", "false", "0" then false
        else raise ConfigurationError, "#{name} must be true or false"
        end
      end

      # @param default [Integer]
      # @return [Integer] files at once
      # @raise [ConfigurationError]
      def concurrency(default)
        Integer(text("CONCURRENCY") || default, exception: false) ||
          raise(ConfigurationError, "CONCURRENCY must be a number from 1 to 64")
      end

      # @param name [String]
      # @return [Float, nil]
      # @raise [ConfigurationError]
      def rate(name)
        return unless text(name)

        number = Float(text(name), exception: false) || 0
        return number if number.positive? && number.finite?

        raise ConfigurationError, "#{name} must be a number above 0: how many objects a second"
      end
    end
  end
end
