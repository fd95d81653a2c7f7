# frozen_string_literal: true

require_relative "errors"

module EncryptedS3Service
  # Checks that the engine is part of the application. If the gem is loaded before Rails, or after the application has
  # booted, the engine is missing: files would be encrypted, but no tenant's service would be chosen, no attachment
  # validated and no secret filtered from the log, without any warning.
  # @api private
  module LoadOrder
    ADVICE = "Load the gem after Rails and before the application boots: put it below rails in the Gemfile, or add " \
             "`require \"encrypted_s3_service/engine\"` below `require \"rails\"` in config/application.rb."
    private_constant :ADVICE

    # Called when Active Storage loads the service.
    # @return [void]
    # @raise [ConfigurationError] when the engine is missing from the application
    def self.check
      application = ::Rails.application if defined?(::Rails.application)
      return if application.nil? || engine_in?(application)

      raise ConfigurationError, "The gem encrypted_s3_service was loaded too #{defined?(Engine) ? "late" : "early"}, " \
                                "so its Rails engine is missing. #{ADVICE}"
    end

    def self.engine_in?(application)
      defined?(Engine) && application.railties.any?(Engine)
    end
    private_class_method :engine_in?
  end
end
