# frozen_string_literal: true

require_relative "../configuration"
require_relative "check"

module EncryptedS3Service
  class Doctor
    # Whether the entry makes a valid configuration, the key aside.
    # @api private
    class SettingsCheck < Check
      SUBJECT = "configuration"
      private_constant :SUBJECT

      # @return [Finding]
      def call
        service.configuration.to_native
        ok SUBJECT, "valid"
      rescue ConfigurationError => e
        # A key that is missing or wrong has a line of its own.
        e.message.start_with?("encryption_key ") ? without_key : failed(SUBJECT, e.message)
      end

      private

      def without_key
        service.configuration(encryption_key: EncryptionKey.generate, encryption_key_passphrase: nil).to_native
        ok SUBJECT, "valid but for the key"
      rescue ConfigurationError => e
        failed SUBJECT, e.message
      end
    end
  end
end
