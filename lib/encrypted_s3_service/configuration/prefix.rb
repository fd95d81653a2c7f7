# frozen_string_literal: true

require_relative "../errors"

module EncryptedS3Service
  class Configuration
    # The folder of a bucket in which all objects of a service are. Keys are without it everywhere but at the store.
    # @api private
    class Prefix
      # Some stores, and programs that stand before them, read these as the way to another folder.
      STEPS = %w[. ..].freeze
      private_constant :STEPS

      # @return [String] `""`, or ending with a slash, so that no key leads to a folder whose name begins the same
      attr_reader :to_s

      # @param settings [Options]
      # @raise [ConfigurationError]
      def initialize(settings)
        text = settings.string(:prefix).to_s.chomp("/")
        steps = text.split("/", -1)
        if steps.any? { |step| step.empty? || STEPS.include?(step) }
          settings.refuse :prefix, "must be names with slashes between them, like production/files, without a slash " \
                                   "at its beginning and without . and .."
        end
        @to_s = (text.empty? ? "" : "#{text}/").freeze
        freeze
      end

      # @param key [String] UTF-8, not empty
      # @return [String] the object's key in the bucket
      # @raise [ArgumentError] when the key could lead out of the folder
      def key(key)
        return key if to_s.empty?
        raise ArgumentError, "a key must not begin with a slash where there is a prefix" if key.start_with?("/")
        if key.split("/").any? { |step| STEPS.include?(step) }
          raise ArgumentError, "a key must not have the parts . and .. where there is a prefix"
        end

        to_s + key
      end
    end
  end
end
