# frozen_string_literal: true

require_relative "../configuration/confidential"
require_relative "../errors"

module EncryptedS3Service
  # The service of one tenant: an entry of `storage.yml` with the tenant's key. For a mirror all parts get that key, and
  # the part `encrypted_amazon` becomes `encrypted_amazon@42`.
  # @api private
  class TenantService
    include Confidential

    # @return [String] name of the entry in `storage.yml`
    attr_reader :base

    # @return [String] id of the tenant
    attr_reader :id

    # @param base [String] name of the entry
    # @param id [String] id of the tenant
    # @param key [Object, nil] a value of `encryption_key`; nil when the key is destroyed
    # @param entries [ServiceEntries]
    def initialize(base, id, key, entries)
      @base = base
      @id = id
      @key = key
      @entries = entries
    end

    # @return [Boolean] whether entry, id and key are the same
    def ==(other)
      other.is_a?(TenantService) && state == other.state
    end

    # @return [ActiveStorage::Service]
    # @raise [ConfigurationError] when the entry or a part of it is not an EncryptedS3 service
    def service
      TenantKeys.check_entry(@base, @entries)
      return build(@base) unless @entries.mirror?(@base)

      # Nested mirrors are flattened, because jobs can find only the outer one by name.
      primary, *mirrors = @entries.parts(@base)
      with_class(@base, **@entries[@base], primary: primary, mirrors: mirrors).tap do |mirror|
        mirror.primary.name_in_addresses = mirror.name
      end
    end

    # Also called by ActiveStorage::Service::MirrorService, for which this object is the Configurator.
    # @param name [Symbol, String] an entry that is not a mirror
    # @return [ActiveStorage::Service]
    def build(name)
      entry = @entries[name].except(*keys_of_the_entry)
      @key ? with_class(name, **entry, encryption_key: @key) : without_key(name, entry)
    end

    protected

    def state = [@base, @id, @key, @entries.parts(@base).map { |part| @entries[part] }, @entries[@base]]

    private

    def public_attributes = { base: @base, id: @id }

    # Settings that belong to the entry's own key. A tenant's key in KMS without a context gets that of the entry, and
    # an encrypted PEM gets the entry's passphrase.
    def keys_of_the_entry
      names = %i[encryption_key encryption_key_id]
      names += KmsKey.given?(@key) ? %i[kms_key_id] : Configuration::KMS_NAMES
      encrypted = RsaKey.encrypted?(KeySource.resolve(@key, "encryption_key"))
      encrypted ? names : [*names, :encryption_key_passphrase]
    end

    def tenants_name(name) = :"#{name}#{TenantKeys::SEPARATOR}#{@id}"

    def with_class(name, **entry)
      @entries.service_class(name).build(**entry, configurator: self, name: tenants_name(name))
    end

    # Files of a destroyed key can only be deleted.
    def without_key(name, entry)
      client = KeylessClient.new(tenants_name(name), **entry.except(:service))
      @entries.service_class(name).new(client: client).tap { |service| service.name = tenants_name(name) }
    end
  end
end
