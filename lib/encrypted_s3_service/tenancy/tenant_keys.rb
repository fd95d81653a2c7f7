# frozen_string_literal: true

require_relative "../configuration/confidential"
require_relative "../errors"

# The part of the gem that needs Rails: keys of tenants.
module EncryptedS3Service
  # A key for each tenant, in one bucket:
  #
  #     # config/initializers/encrypted_s3_service.rb
  #     config.encrypted_s3_service.tenant_keys = {
  #       encrypted_amazon: EncryptedS3Service::DerivedKeys.new(master_key)
  #     }
  #
  #     EncryptedS3Service.tenant_service(:encrypted_amazon, organisation)   # => :"encrypted_amazon@42"
  #
  # That is an Active Storage service: the entry `encrypted_amazon` of `storage.yml` with the tenant's key instead of
  # its own. Files stored there carry the key's id in their material description and the service's name in their row, so
  # reading them, and making variants of them in a job, never depends on who asks.
  #
  # Where keys come from is anything that responds to `call(id)` or `[](id)` and returns a key as `encryption_key` has
  # it: a Hash, {DerivedKeys}, a lambda of the application. If it returns nil the key is destroyed, and with it, for
  # good, what the tenant's files say; they can still be deleted.
  module TenantKeys
    # Between the name of the entry and the tenant's id.
    SEPARATOR = "@"
    # An id is what a URL could have.
    ID = /\A[\w.~-]{1,100}\z/
    private_constant :ID

    # Makes entries for the names of tenants' services.
    # @api private
    class Resolver
      include Confidential

      # @param sources [Hash{Symbol => #call, #[]}] by the name of an entry
      def initialize(sources)
        @sources = sources.transform_keys(&:to_s)
      end

      # @param name [String]
      # @return [Hash, ActiveStorage::Service, nil] nil when it is no name of a tenant's service
      def call(name)
        base, id = name.split(SEPARATOR, 2)
        source = id && @sources[base]
        return unless source && id.match?(ID)

        entry = entry_of(base).except(:encryption_key, :encryption_key_id)
        key = source.respond_to?(:call) ? source.call(id) : source[id]
        key ? entry.merge(encryption_key: key) : destroyed(name, entry)
      end

      private

      def public_attributes = { services: @sources.keys }

      # @return [Hash{Symbol => Object}]
      def entry_of(base)
        entry = Rails.configuration.active_storage.service_configurations.to_h.deep_symbolize_keys[base.to_sym]
        return entry if entry

        raise ConfigurationError, "tenant_keys: there is no service #{base} in config/storage.yml"
      end

      def destroyed(name, entry)
        require "active_storage/service/encrypted_s3_service"
        client = KeylessClient.new(name, **entry.except(:service))
        ActiveStorage::Service::EncryptedS3Service.new(client: client)
      end
    end

    # @param sources [Hash, nil]
    # @return [Resolver, nil]
    # @api private
    def self.resolver(sources) = (Resolver.new(sources) if sources.present?)

    # @param id [String]
    # @return [String]
    # @raise [ArgumentError] when it cannot be part of a service's name
    # @api private
    def self.check_id(id)
      return id if id.match?(ID)

      raise ArgumentError, "a tenant's id has 1 to 100 letters, digits, _, ., ~ or -; #{id.inspect} is none"
    end
  end

  # The name of a tenant's own service, which has the tenant's key.
  # @param service [Symbol, String] an entry of `storage.yml` with keys in `config.encrypted_s3_service.tenant_keys`
  # @param tenant [#id, String, Integer] of whom the id counts
  # @return [Symbol]
  # @raise [ArgumentError] when the id cannot be part of a service's name
  # @raise [ConfigurationError] when there are no keys for the entry
  def self.tenant_service(service, tenant)
    unless EncryptedS3Service.settings.tenant_keys.to_h.transform_keys(&:to_s).key?(service.to_s)
      raise ConfigurationError, "config.encrypted_s3_service.tenant_keys has no keys for the service #{service}"
    end

    id = tenant.respond_to?(:id) ? tenant.id : tenant
    :"#{service}#{TenantKeys::SEPARATOR}#{TenantKeys.check_id(id.to_s)}"
  end
end
