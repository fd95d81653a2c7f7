# frozen_string_literal: true

require_relative "../configuration/confidential"
require_relative "../errors"

module EncryptedS3Service
  # The service of one tenant: an entry of `storage.yml` with the tenant's key. A mirror becomes a mirror of parts with
  # that key; `encrypted_amazon` in it is `encrypted_amazon@42` then.
  # @api private
  class TenantService
    include Confidential

    # @return [String] of the entry in `storage.yml`
    attr_reader :base

    # @return [String] of the tenant
    attr_reader :id

    # @param base [String] the name of the entry
    # @param id [String] of the tenant
    # @param key [Object, nil] as `encryption_key` has it; nil when it is destroyed
    # @param entries [ServiceEntries]
    def initialize(base, id, key, entries)
      @base = base
      @id = id
      @key = key
      @entries = entries
    end

    # @return [Boolean] whether it would be the same service
    def ==(other)
      other.is_a?(TenantService) && state == other.state
    end

    # @return [ActiveStorage::Service]
    # @raise [ConfigurationError] when the entry, or a part of it, has no key that a tenant's could replace
    def service
      TenantKeys.check_entry(@base, @entries)
      return build(@base) unless @entries.mirror?(@base)

      # A mirror in a mirror comes to the same as its parts, and only the outer one has a name that jobs can find.
      primary, *mirrors = @entries.parts(@base)
      with_class(@base, **@entries[@base], primary: primary, mirrors: mirrors)
    end

    # Also called by ActiveStorage::Service::MirrorService, which takes this for Rails' Configurator.
    # @param name [Symbol, String] of an entry that is no mirror
    # @return [ActiveStorage::Service]
    def build(name)
      entry = @entries[name].except(:encryption_key, :encryption_key_id)
      @key ? with_class(name, **entry, encryption_key: @key) : without_key(name, entry)
    end

    protected

    def state = [@base, @id, @key, @entries.parts(@base).map { |part| @entries[part] }, @entries[@base]]

    private

    def public_attributes = { base: @base, id: @id }

    def tenants_name(name) = :"#{name}#{TenantKeys::SEPARATOR}#{@id}"

    def with_class(name, **entry)
      @entries.service_class(name).build(**entry, configurator: self, name: tenants_name(name))
    end

    # Its files can be deleted.
    def without_key(name, entry)
      client = KeylessClient.new(tenants_name(name), **entry.except(:service))
      @entries.service_class(name).new(client: client).tap { |service| service.name = tenants_name(name) }
    end
  end
end
