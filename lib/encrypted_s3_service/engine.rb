# frozen_string_literal: true

require "rails/engine"
require_relative "tenancy/resolved_services"
require_relative "serving/body"
require_relative "serving/byte_ranges"
require_relative "serving/token"
require_relative "tenancy/tenant_keys"
require_relative "deprecator"

module EncryptedS3Service
  # What the gem does in a Rails application besides being found by Active Storage.
  class Engine < ::Rails::Engine
    require_relative "engine/settings"

    # Gems that ship a file of the same name as our service. Which of them Active Storage would load is a matter of
    # their order in the Gemfile, and neither encrypts as this one does.
    CONFLICTING_GEMS = %w[active_storage_encryption active_storage_client_side_encrypted].freeze

    # @param loaded [Array<String>] names of the gems in use
    # @return [void]
    # @raise [ConfigurationError] when one of them would be mistaken for this one
    def self.refuse_conflicting_gems(loaded = Gem.loaded_specs.keys)
      other = (CONFLICTING_GEMS & loaded).first
      return unless other

      raise ConfigurationError, "The gem #{other} also has a file active_storage/service/encrypted_s3_service.rb, " \
                                "so `service: EncryptedS3` could mean either. Remove one of the two from the Gemfile."
    end

    config.encrypted_s3_service = Settings.new

    # A store that does not answer is no defect of the application.
    config.action_dispatch.rescue_responses["EncryptedS3Service::TransportError"] = :service_unavailable

    initializer "encrypted_s3_service.resolved_services", before: "active_storage.services" do
      ActiveSupport.on_load(:active_storage_blob) do
        ActiveStorage::Service::Registry.prepend(ResolvedServices::Registry)
      end
    end

    initializer "encrypted_s3_service.deprecator", before: :load_environment_config do |app|
      app.deprecators[:encrypted_s3_service] = EncryptedS3Service.deprecator
    end

    # After the application's own initializers, and so after all that sets them.
    config.after_initialize { EncryptedS3Service.settings.check }

    initializer "encrypted_s3_service.log" do
      require_relative "log_subscriber"
    end

    initializer "encrypted_s3_service.conflicts", before: :load_environment_config do
      self.class.refuse_conflicting_gems
    end

    initializer "encrypted_s3_service.filter_parameters" do |app|
      app.config.filter_parameters += %i[encryption_key secret_access_key]
    end
  end
end

require_relative "engine/hooks"
