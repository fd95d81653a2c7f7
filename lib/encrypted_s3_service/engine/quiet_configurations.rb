# frozen_string_literal: true

require_relative "../configuration/redacted"

module EncryptedS3Service
  class Engine
    # Prepended to ActiveStorage::Service::Registry and ActiveStorage::Service::Configurator, which keep the settings of
    # all services, keys included. Rails has an `inspect` that shows none of them from version 8.1 on.
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
