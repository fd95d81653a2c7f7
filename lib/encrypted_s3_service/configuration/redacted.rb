# frozen_string_literal: true

require_relative "confidential"

module EncryptedS3Service
  class Configuration
    # A Hash of settings that shows no secret when it is turned into text: what Active Storage keeps of `storage.yml`
    # would otherwise be in every console, error report and log line that shows the application's configuration.
    # @api private
    class Redacted < Hash
      include Confidential

      # Names of settings that hold a secret, of this and other services.
      SECRET = /secret|(?:key|keys|passphrase|password|token|credentials?|proxy)\z/i
      # What is shown for one.
      MARK = "[REDACTED]"
      private_constant :SECRET, :MARK

      # @param value [Object]
      # @return [Object] a copy in which each plain Hash is one of these; other objects as they are
      def self.wrap(value)
        case value
        when Array then value.map { |element| wrap(element) }
        when Redacted then value
        else value.instance_of?(Hash) ? value.each_with_object(new) { |(k, v), copy| copy[k] = wrap(v) } : value
        end
      end

      # @return [String] as of a Hash, with marks in the places of secrets
      def inspect = shown.inspect
      alias to_s inspect

      # Active Support does not ask for it where this is inside of a plain Hash.
      # @return [Hash] for JSON
      def as_json(*) = shown.as_json

      # @return [String] JSON
      def to_json(*) = shown.to_json

      # @return [Hash] a plain copy with marks in the places of secrets
      def shown
        to_h { |name, value| [name, SECRET.match?(name.to_s) && value ? MARK : shown_value(value)] }
      end

      private

      def shown_value(value)
        case value
        when Redacted then value.shown
        when Array then value.map { |element| shown_value(element) }
        else value
        end
      end
    end
  end
end
