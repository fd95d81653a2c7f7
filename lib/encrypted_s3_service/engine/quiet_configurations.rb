# frozen_string_literal: true

require_relative "../configuration/redacted"

module EncryptedS3Service
  class Engine
    # Prepended to ActiveStorage::Service::Registry and ActiveStorage::Service::Configurator, which hold the settings of
    # all services including keys. Only Rails 8.1 and later hide them in `inspect`.
    # @api private
    module QuietConfigurations
      include Confidential

      # @param configurations [Hash]
      def initialize(configurations)
        super
        @configurations = Configuration::Redacted.wrap(@configurations)
      end

      private

      def public_attributes = { services: @configurations.keys }
    end
  end
end
