# frozen_string_literal: true

require_relative "../configuration/confidential"
require_relative "../errors"
require_relative "service_entries"
require_relative "tenant_service"

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
  # The entry may be a mirror: each of its parts gets the tenant's key then. All parts have to be EncryptedS3 services.
  #
  # Where keys come from is anything that responds to `call(id)` or `[](id)` and returns a key as `encryption_key` has
  # it: a Hash, {DerivedKeys}, a lambda of the application. The id is a String; a Hash may have Symbols or Integers for
  # ids, too. If it returns nil the key is destroyed, and with it, for good, what the tenant's files say; they can still
  # be deleted. Keys are not read from files (`file:`) unless `config.encrypted_s3_service.trusted_resolver` is true.
  module TenantKeys
    # Between the name of the entry and the tenant's id.
    SEPARATOR = "@"
    # An id is what a URL could have.
    ID = /\A[\w.~-]{1,100}\z/
    private_constant :ID

    # Finds the tenants' services by their names.
    # @api private
    class Resolver
      include Confidential

      # @param sources [Hash{Symbol, String => #call, #[]}] by the name of an entry
      def initialize(sources)
        @sources = sources.transform_keys(&:to_s)
      end

      # @param name [String]
      # @return [TenantService, nil] nil when it is no name of a tenant's service
      # @raise [ConfigurationError] when the key is one that only `storage.yml` may name
      def call(name)
        base, id = name.split(SEPARATOR, 2)
        source = id && @sources[base]
        return unless source && id.match?(ID)

        key = key_of(source, id)
        ResolvedEntry.check_key(name, key)
        TenantService.new(base, id, key, ServiceEntries.new)
      end

      private

      def public_attributes = { services: @sources.keys }

      def key_of(source, id)
        return source.call(id) if source.respond_to?(:call)
        return source[id] unless source.is_a?(Hash)

        ids = [id, id.to_sym, (id.to_i if id == id.to_i.to_s)].compact
        source[ids.find { |form| source.key?(form) } || id]
      end
    end

    class << self
      # @param sources [Hash, nil]
      # @return [Resolver, nil]
      # @api private
      def resolver(sources) = (Resolver.new(sources) if sources.present?)

      # Looks whether all entries with tenants' keys can have them.
      # @param sources [Hash, nil] `config.encrypted_s3_service.tenant_keys`
      # @param entries [ServiceEntries]
      # @return [void]
      # @raise [ConfigurationError]
      def check(sources, entries = ServiceEntries.new)
        sources.to_h.each_key { |base| check_entry(base, entries) }
      end

      # @param base [Symbol, String] the name of an entry
      # @param entries [ServiceEntries]
      # @return [void]
      # @raise [ConfigurationError] when it does not exist, or does not encrypt, wholly
      # @api private
      def check_entry(base, entries)
        raise ConfigurationError, "tenant_keys: there is no service #{base} in config/storage.yml" unless entries[base]

        part = entries.parts(base).find { |name| !entries.encrypts?(name) }
        return unless part

        what = part == base.to_sym ? "it is" : "its part `#{part}` is"
        raise ConfigurationError, "config.encrypted_s3_service.tenant_keys: `#{base}` cannot have keys of tenants, " \
                                  "because #{what} a #{entries.kind(part)} service. Only EncryptedS3 services and " \
                                  "mirrors of them have keys."
      end

      # @param id [String]
      # @return [String]
      # @raise [ArgumentError] when it cannot be part of a service's name
      # @api private
      def check_id(id)
        return id if id.match?(ID)

        raise ArgumentError, "a tenant's id has 1 to 100 letters, digits, _, ., ~ or -; #{id.inspect} is none"
      end
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
