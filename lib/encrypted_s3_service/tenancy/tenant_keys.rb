# frozen_string_literal: true

require_relative "../configuration/confidential"
require_relative "../errors"
require_relative "service_entries"
require_relative "tenant_service"

# Keys of tenants.
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
  # This is an Active Storage service: the entry `encrypted_amazon` of `storage.yml` with the tenant's key instead of
  # its own. Its files have the key's id in their material description and the service's name in their row, so reading
  # them and making variants in a job does not depend on the current tenant.
  #
  # If the entry is a mirror, each part gets the tenant's key. All parts must be EncryptedS3 services.
  #
  # A key source is any object that responds to `call(id)` or `[](id)` and returns a value of `encryption_key`: a Hash,
  # {DerivedKeys}, or a lambda of the application. The id is a String; a Hash can also have Symbols or Integers as ids.
  # If the source returns nil, the key is destroyed and the tenant's files are permanently unreadable; they can still be
  # deleted. The source can also return a reference to a key that a custodian keeps, see {OpenBao}. Keys are not read
  # from files (`file:`) unless `config.encrypted_s3_service.trusted_resolver` is true.
  module TenantKeys
    # Separates the entry's name and the tenant's id.
    SEPARATOR = "@"
    # Characters of an id. All of them are safe in a URL.
    ID = /\A[\w.~-]{1,100}\z/
    private_constant :ID

    # Finds tenants' services by name.
    # @api private
    class Resolver
      include Confidential

      # @param sources [Hash{Symbol, String => #call, #[]}] key sources by the name of an entry
      def initialize(sources)
        @sources = sources.transform_keys(&:to_s)
      end

      # @param name [String]
      # @return [TenantService, nil] nil when it is not the name of a tenant's service
      # @raise [ConfigurationError] when the key is in a file, which only `storage.yml` may name
      def call(name)
        base, id = name.split(SEPARATOR, 2)
        source = id && @sources[base]
        return unless source && id.match?(ID)

        key = key_of(source, id)
        ResolvedEntry.check_key(name, key) unless KeyReference.reference?(key)
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

      # Checks that all entries with key sources can use tenants' keys.
      # @param sources [Hash, nil] `config.encrypted_s3_service.tenant_keys`
      # @param entries [ServiceEntries]
      # @return [void]
      # @raise [ConfigurationError]
      def check(sources, entries = ServiceEntries.new)
        sources.to_h.each_key do |base|
          refuse_separator(base)
          check_entry(base, entries)
        end
      end

      # @param base [Symbol, String] the name of an entry
      # @param entries [ServiceEntries]
      # @return [void]
      # @raise [ConfigurationError] when it does not exist or does not encrypt completely
      # @api private
      def check_entry(base, entries)
        unless entries[base]
          raise ConfigurationError, "tenant_keys: there is no service #{base} in #{Engine::StorageFile.path}."
        end

        part = entries.parts(base).find { |name| !entries.encrypts?(name) }
        return unless part

        subject = part == base.to_sym ? "it is" : "its part `#{part}` is"
        raise ConfigurationError, "config.encrypted_s3_service.tenant_keys: `#{base}` cannot use keys of tenants " \
                                  "because #{subject} a #{entries.kind(part)} service. Only EncryptedS3 services and " \
                                  "mirrors of them have keys."
      end

      # @param id [String]
      # @return [String]
      # @raise [ArgumentError] when it contains other characters or has a wrong length
      # @api private
      def check_id(id)
        return id if id.match?(ID)

        raise ArgumentError, "A tenant's id must have 1 to 100 letters, digits, _, ., ~ or -, not #{id.inspect}."
      end

      private

      def refuse_separator(base)
        return unless base.to_s.include?(SEPARATOR)

        raise ConfigurationError, "tenant_keys: the service `#{base}` cannot have keys of tenants because its name " \
                                  "contains #{SEPARATOR}, which separates service and tenant. Rename it."
      end
    end
  end

  # The name of a tenant's service, which uses the tenant's key.
  # @param service [Symbol, String] an entry of `storage.yml` with a key source in
  #   `config.encrypted_s3_service.tenant_keys`
  # @param tenant [#id, String, Integer] the tenant or its id
  # @return [Symbol]
  # @raise [ArgumentError] when the id has other characters than letters, digits, `_`, `.`, `~` and `-`
  # @raise [ConfigurationError] when the entry has no key source
  def self.tenant_service(service, tenant)
    unless EncryptedS3Service.settings.tenant_keys.to_h.transform_keys(&:to_s).key?(service.to_s)
      raise ConfigurationError, "config.encrypted_s3_service.tenant_keys has no keys for the service #{service}."
    end

    id = tenant.respond_to?(:id) ? tenant.id : tenant
    :"#{service}#{TenantKeys::SEPARATOR}#{TenantKeys.check_id(id.to_s)}"
  end
end
