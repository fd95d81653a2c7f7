# frozen_string_literal: true

require_relative "confidential"

module EncryptedS3Service
  class Configuration
    # A Hash of settings that hides secrets in its textual representations. Otherwise Active Storage's copy of
    # `storage.yml` would appear in every console, error report and log line that shows the application's configuration.
    # @api private
    class Redacted < Hash
      include Confidential

      # Names of settings with secrets, of this and other services.
      SECRET = /secret|(?:key|keys|passphrase|password|token|credentials?|proxy)\z/i
      # Shown instead of a secret.
      MARK = "[REDACTED]"
      private_constant :SECRET, :MARK

      # @param value [Object]
      # @return [Object] a copy in which every plain Hash is a {Redacted}; other objects are not changed
      def self.wrap(value)
        case value
        when Array then value.map { |element| wrap(element) }
        when Redacted then value
        else value.instance_of?(Hash) ? value.each_with_object(new) { |(k, v), copy| copy[k] = wrap(v) } : value
        end
      end

      # @return [String] as for a Hash, with secrets replaced by {MARK}
      def inspect = shown.inspect
      alias to_s inspect

      # Active Support does not call it when this object is inside of a plain Hash.
      # @return [Hash] for JSON
      def as_json(*) = shown.as_json

      # @return [String] JSON
      def to_json(*) = shown.to_json

      # @return [Hash] a plain copy with secrets replaced
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
