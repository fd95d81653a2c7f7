# frozen_string_literal: true

require_relative "storage_file"

module EncryptedS3Service
  class Engine
    # Checks at boot that the classes and services named by settings exist. Autoloaded classes are not loaded for it.
    # @api private
    class SettingsCheck
      # @param settings [Settings]
      # @param loading [Boolean] whether to load and check classes
      def initialize(settings = EncryptedS3Service.settings, loading: false)
        @settings = settings
        @loading = loading
      end

      # @return [void]
      # @raise [ConfigurationError] when a name is wrong; it names the setting
      def call
        @settings.check
        # First, because loading the default base controller includes the concerns.
        check_concerns
        check_base_controller
        check_current_tenant
        check_services
        check_parts
      end

      private

      def check_base_controller
        name = @settings.base_controller
        found = find(:base_controller, name)
        return if found.nil? || (found.is_a?(Class) && found <= ::ActionController::Metal)

        refuse :base_controller, "names `#{name}`, which is not a controller"
      end

      def check_concerns
        names = Array(@settings.active_storage_concerns).grep_v(true).grep_v(false)
        names.each do |name|
          found = find(:active_storage_concerns, name)
          next if found.nil? || found.instance_of?(Module)

          refuse :active_storage_concerns, "names `#{name}`, which is a class and not a module"
        end
      end

      def check_current_tenant
        path = @settings.current_tenant or return
        name, attribute = path.to_s.split(".")
        found = find(:current_tenant, name)
        return if found.nil? || (found.respond_to?(attribute) && found.respond_to?("#{attribute}="))

        refuse :current_tenant, "names `#{path}`, but `#{name}` has no attribute `#{attribute}` to read and set"
      end

      # Services of tenants and of a resolver are checked on first use.
      def check_services
        @settings.tenant_keys.to_h.each_key { |name| check_service(:tenant_keys, name) }
        return if @settings.service_resolver

        Array(@settings.direct_upload_services).each do |name|
          check_service(:direct_upload_services, name.to_s.split(TenantKeys::SEPARATOR, 2).first)
        end
      end

      # Checks entries with tenants' keys, and mirrors.
      def check_parts
        return if entries.nil?

        known = ServiceEntries.new(entries)
        TenantKeys.check(@settings.tenant_keys, known)
        MixedMirrors.warn(known)
      end

      def check_service(setting, name)
        return if entries.nil? || entries.key?(name.to_sym)

        known = entries.empty? ? "has none" : "has #{entries.keys.join(", ")}"
        refuse setting, "names the service `#{name}`, which is not in #{StorageFile.path}. The file #{known}"
      end

      # @return [Module, nil] nil when it exists but is not loaded
      def find(setting, name)
        name = name.to_s
        return ::Object.const_get(name) if @loading
        return if ::Object.const_defined?(name)

        refuse setting, "names `#{name}`, which does not exist"
      rescue NameError => e
        raise unless name.split("::").include?(e.name.to_s)

        refuse setting, "names `#{name}`, which does not exist"
      end

      # @return [Hash{Symbol => Hash}, nil] nil when the file cannot be read, which {StorageCheck} reports
      def entries
        StorageFile.entries
      rescue StandardError
        raise unless Configuration::Tolerance.tolerated?
      end

      def refuse(setting, problem)
        raise ConfigurationError, "config.encrypted_s3_service.#{setting} #{problem}."
      end
    end
  end
end
