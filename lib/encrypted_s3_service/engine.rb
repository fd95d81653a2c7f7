# frozen_string_literal: true

require "rails/engine"
require_relative "tenancy/resolved_services"
require_relative "tenancy/tenant_keys"
require_relative "deprecator"

module EncryptedS3Service
  # Integrates the gem into a Rails application.
  class Engine < ::Rails::Engine
    require_relative "engine/quiet_configurations"
    require_relative "engine/service_file"
    require_relative "engine/settings"
    require_relative "engine/settings_check"
    require_relative "engine/storage_check"

    # @return [Boolean] whether the application has Active Storage; without it the gem is only a library
    # @api private
    def self.active_storage? = !defined?(::ActiveStorage::Engine).nil?

    # @return [void]
    # @raise [ConfigurationError] when the application has no Active Storage
    # @api private
    def self.require_active_storage
      return if active_storage?

      raise ConfigurationError, "This application has no Active Storage. Add `require \"active_storage/engine\"` " \
                                "to config/application.rb."
    end

    # For tasks that process all files.
    # @return [void]
    # @raise [ConfigurationError] when the application has no Active Storage, or its tables are missing
    # @api private
    def self.require_tables
      require_active_storage
      table = ActiveStorage::Blob.table_name
      return if ActiveStorage::Blob.table_exists?

      raise ConfigurationError, "The database has no table #{table}. Run `bin/rails active_storage:install` and " \
                                "`bin/rails db:migrate`."
    end

    config.encrypted_s3_service = Settings.new

    initializer "encrypted_s3_service.deprecator", before: :load_environment_config do |app|
      app.deprecators[:encrypted_s3_service] = EncryptedS3Service.deprecator
    end

    # An unreachable store or key custodian is not a bug of the application.
    initializer "encrypted_s3_service.rescue_responses", before: "action_dispatch.configure" do |app|
      next unless app.config.respond_to?(:action_dispatch)

      %w[TransportError CustodianError].each do |error|
        app.config.action_dispatch.rescue_responses["EncryptedS3Service::#{error}"] = :service_unavailable
      end
    end

    # The controllers inherit from Active Storage's and cannot be loaded without it.
    initializer "encrypted_s3_service.controllers", before: :set_autoload_paths do
      Rails.autoloaders.main.ignore(root.join("app/controllers")) unless Engine.active_storage?
    end

    # Runs when the load path is complete and before any service is built.
    initializer "encrypted_s3_service.service_file", after: :set_autoload_paths do
      ServiceFile.check if Engine.active_storage?
    end

    initializer "encrypted_s3_service.resolved_services", before: "active_storage.services" do
      ActiveSupport.on_load(:active_storage_blob) do
        ActiveStorage::Service::Registry.prepend(ResolvedServices::Registry, QuietConfigurations)
        ActiveStorage::Service::Configurator.prepend(QuietConfigurations)
        StorageFile.redact
      end
    end

    # @param loading [Boolean] whether classes may be loaded, as before an eager load
    # @return [void]
    # @raise [ConfigurationError] when a setting of the application or of `storage.yml` is wrong
    # @api private
    def self.check(loading: false)
      return EncryptedS3Service.settings.check unless active_storage?

      StorageCheck.new.call
      SettingsCheck.new(loading: loading).call
    end

    # Runs after the application's initializers, and before classes are loaded eagerly: loading them builds services,
    # whose errors would not name the setting.
    config.before_eager_load { Engine.check(loading: true) }
    config.after_initialize { |app| Engine.check unless app.config.eager_load }
    config.after_initialize { ServiceFile.check if Engine.active_storage? }

    initializer "encrypted_s3_service.eager_load" do |app|
      app.config.eager_load_namespaces << EncryptedS3Service if Engine.active_storage?
    end

    initializer "encrypted_s3_service.log" do
      require_relative "log_subscriber"
      EncryptedS3Service.logger = ::Rails.logger
    end

    # A forked worker requests the keys itself, and does not use those of its parent.
    initializer "encrypted_s3_service.key_custody" do
      ActiveSupport::ForkTracker.after_fork { EncryptedS3Service.forget_keys }
    end

    initializer "encrypted_s3_service.filter_parameters" do |app|
      app.config.filter_parameters += %i[encryption_key decryption_keys secret_access_key session_token]
    end
  end
end

require_relative "engine/hooks"
require_relative "engine/serving"
