# frozen_string_literal: true

require_relative "../configuration/confidential"
require_relative "../errors"
require_relative "../serving/connections"
require_relative "resolved_entry"
require_relative "tenant_keys"

# The part of the gem that needs Rails: services that are not in `storage.yml`.
module EncryptedS3Service
  # Active Storage services that are not in `storage.yml` but belong to a tenant: a bucket, credentials or a key from
  # the database. A blob names such a service in its row like any other, so every process that serves, analyzes,
  # transforms or purges the file finds it again.
  #
  #     # config/initializers/encrypted_s3_service.rb
  #     config.encrypted_s3_service.service_resolver = lambda do |name|
  #       bucket = CustomerBucket.find_by(service_name: name)
  #       bucket && { service: "EncryptedS3", bucket: bucket.name, encryption_key: bucket.encryption_key, … }
  #     end
  #
  # Built services are kept, so that their connections are used again: the latest {#limit} of them, each for {#ttl}
  # seconds, after which its settings are asked for anew. What is the same then stays.
  #
  # What a resolver returns may not name files of the server, nor addresses of its own network, see {ResolvedEntry}:
  # `config.encrypted_s3_service.trusted_resolver` and `trusted_resolver_endpoints` allow it.
  class ResolvedServices
    include Confidential

    # Services that are kept unless `config.encrypted_s3_service.resolved_services_limit` says otherwise.
    DEFAULT_LIMIT = 100
    # Seconds after which the settings of a service are asked for again, unless
    # `config.encrypted_s3_service.resolved_services_ttl` says otherwise.
    DEFAULT_TTL = 60

    # Announces that a service was dropped because of the {#limit}: `service` (Symbol) and `limit`. A process that sends
    # it all the time works for more tenants than it keeps services, and builds them again and again.
    EVICTION_EVENT = "eviction.encrypted_s3_service"

    # A service that is kept, and the settings it was built of.
    Entry = Struct.new(:settings, :service, :asked_at) do
      include Confidential

      private

      def public_attributes = { service: service&.name }
    end
    private_constant :Entry

    # Prepended to ActiveStorage::Service::Registry, which builds what is in `storage.yml`.
    # @api private
    module Registry
      # @param name [Symbol, String]
      # @yieldparam key [Symbol] when there is no such service
      # @return [ActiveStorage::Service]
      # @raise [KeyError] when there is no such service and no block
      def fetch(name)
        super(name) do |key|
          resolved = EncryptedS3Service.resolved_services.fetch(key)
          next resolved if resolved

          block_given? ? yield(key) : super(name, &nil)
        end
      end
    end

    # @return [Integer]
    attr_reader :limit

    # @return [Numeric] seconds
    attr_reader :ttl

    # @param resolvers [Array<#call>] each is given a name (String) and returns an entry as in `storage.yml`
    #   (a Hash), a service, or nil
    # @param limit [Integer]
    # @param ttl [Numeric] seconds
    def initialize(resolvers, limit: DEFAULT_LIMIT, ttl: DEFAULT_TTL)
      @resolvers = resolvers
      @limit = limit
      @ttl = ttl
      @entries = {}
      @lock = Mutex.new
    end

    # @param name [Symbol, String]
    # @return [ActiveStorage::Service, nil] nil when no resolver knows it
    # @raise [ConfigurationError] when what a resolver returns is no entry
    def fetch(name)
      return if @resolvers.empty?

      name = name.to_sym
      entry = @lock.synchronize { @entries[name] }
      # Without the lock: a resolver asks the database, and whoever has its connections may be waiting here. That two
      # threads build the same service is harmless.
      entry = renew(name, entry) if entry.nil? || now - entry.asked_at > ttl
      keep(name, entry)
      entry&.service
    end

    # Drops a service at once, in this process: for settings that were changed. With a tenant's service go all others
    # of the same tenant.
    # @param name [Symbol, String]
    # @return [void]
    def forget(name)
      tenant = name.to_s[/#{TenantKeys::SEPARATOR}.*/o]
      @lock.synchronize do
        @entries.delete_if { |kept, _| kept == name.to_sym || (tenant && kept.end_with?(tenant)) }
      end
      nil
    end

    private

    def public_attributes = { services: @entries.keys }

    # The last of the Hash is the one that was used last.
    def keep(name, entry)
      evicted = nil
      @lock.synchronize do
        @entries.delete(name)
        @entries[name] = entry if entry
        evicted, = @entries.shift if @entries.size > limit
      end
      return unless evicted

      ActiveSupport::Notifications.instrument(EVICTION_EVENT, service: evicted, limit: limit)
    end

    def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)

    def renew(name, former)
      settings = asking { @resolvers.lazy.filter_map { |resolver| resolver.call(name.to_s) }.first }
      return if settings.nil?

      service = former && former.settings == settings ? former.service : build(name, settings)
      Entry.new(settings, service, now)
    end

    # A resolver asks the database. In a thread that Rails does not know, such as one of a pool, nobody else gives the
    # connection back.
    def asking
      yield
    ensure
      Serving::Connections.release unless Rails.application.executor.active?
    end

    def build(name, settings)
      case settings
      when ActiveStorage::Service then settings.tap { settings.name = name }
      when TenantService then settings.service
      else ResolvedEntry.new(name, settings).service
      end
    end
  end

  # @return [ResolvedServices] as the application configures them
  # @api private
  def self.resolved_services
    @resolved_services ||= begin
      settings = EncryptedS3Service.settings
      ResolvedServices.new([TenantKeys.resolver(settings.tenant_keys), settings.service_resolver].compact,
                           limit: settings.resolved_services_limit, ttl: settings.resolved_services_ttl)
    end
  end

  # Drops what this process has kept of a service that is not in `storage.yml`, so that changed settings hold at once.
  # Other processes notice within `config.encrypted_s3_service.resolved_services_ttl` seconds.
  # @param name [Symbol, String]
  # @return [void]
  def self.forget_service(name) = resolved_services.forget(name)
end
