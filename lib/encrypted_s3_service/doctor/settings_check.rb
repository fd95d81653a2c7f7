# frozen_string_literal: true

require_relative "../configuration"
require_relative "check"

module EncryptedS3Service
  class Doctor
    # Checks the settings except the key, which has its own check.
    # @api private
    class SettingsCheck < Check
      SUBJECT = "configuration"
      private_constant :SUBJECT

      # @return [Finding]
      def call
        service.configuration.to_native_without_keys
        ok SUBJECT, "valid"
      rescue ConfigurationError
        without_key
      end

      private

      def without_key
        service.configuration(**ExaminedService.temporary_key).to_native_without_keys
        ok SUBJECT, "valid apart from the key"
      rescue ConfigurationError => e
        failed SUBJECT, e.message
      end
    end
  end
end
