# frozen_string_literal: true

require_relative "../errors"

module EncryptedS3Service
  class Configuration
    # The folder of all objects of a service in the bucket. Keys in Ruby do not include it.
    # @api private
    class Prefix
      # Some stores and proxies resolve these as relative paths.
      STEPS = %w[. ..].freeze
      private_constant :STEPS

      # @return [String] `""`, or a text that ends with a slash, so that it matches only this folder
      attr_reader :to_s

      # @param settings [Options]
      # @raise [ConfigurationError]
      def initialize(settings)
        text = settings.string(:prefix).to_s.chomp("/")
        steps = text.split("/", -1)
        if steps.any? { |step| step.empty? || STEPS.include?(step) }
          settings.refuse :prefix, "must be names separated by slashes, like production/files, without a leading " \
                                   "slash and without . and .."
        end
        @to_s = (text.empty? ? "" : "#{text}/").freeze
        freeze
      end

      # @param key [String] UTF-8, not empty
      # @return [String] the object's key in the bucket
      # @raise [ArgumentError] when the key could lead outside of the folder
      def key(key)
        return key if to_s.empty?
        raise ArgumentError, "A key must not begin with a slash when a prefix is set." if key.start_with?("/")
        if key.split("/").any? { |step| STEPS.include?(step) }
          raise ArgumentError, "A key must not have the parts . and .. when a prefix is set."
        end

        to_s + key
      end
    end
  end
end
