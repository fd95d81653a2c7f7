# frozen_string_literal: true

require_relative "../configuration/confidential"
require_relative "../errors"
require_relative "../serving/connections"
require_relative "resolved_entry"
require_relative "tenant_keys"

# Services that are not in `storage.yml`.
module EncryptedS3Service
  # Active Storage services that are not in `storage.yml`, for example with a tenant's bucket, credentials or key from
  # the database. A blob's row names such a service like any other, so every process that serves, analyzes, transforms
  # or purges the file finds it.
  #
  #     # config/initializers/encrypted_s3_service.rb
  #     config.encrypted_s3_service.service_resolver = lambda do |name|
  #       bucket = CustomerBucket.find_by(service_name: name)
  #       bucket && { service: "EncryptedS3", bucket: bucket.name, encryption_key: bucket.encryption_key, … }
  #     end
  #
  # Services are cached to reuse their connections: the {#limit} most recently used ones. After {#ttl} seconds the
  # settings are requested again, and the service is rebuilt if they changed.
  #
  # A resolver's result must not name files of the server or addresses of its network, see {ResolvedEntry}, unless
  # `config.encrypted_s3_service.trusted_resolver` or `trusted_resolver_endpoints` allow it.
  class ResolvedServices
    include Confidential

    # Default of `config.encrypted_s3_service.resolved_services_limit`: number of cached services.
    DEFAULT_LIMIT = 100
    # Default of `config.encrypted_s3_service.resolved_services_ttl`: seconds until settings are requested again.
    DEFAULT_TTL = 60

    # Notification that a service was removed from the cache because of the {#limit}: `service` (Symbol) and `limit`. A
    # process that sends it often serves more tenants than it can cache and rebuilds their services.
    EVICTION_EVENT = "eviction.encrypted_s3_service"

    # A cached service and its settings.
    Entry = Struct.new(:settings, :service, :asked_at) do
      include Confidential

      private

      def public_attributes = { service: service&.name }
    end
    private_constant :Entry

    # Prepended to ActiveStorage::Service::Registry, which builds the services of `storage.yml`.
    # @api private
    module Registry
      # @param name [Symbol, String]
      # @yieldparam key [Symbol] when the service does not exist
      # @return [ActiveStorage::Service]
      # @raise [KeyError] when the service does not exist and there is no block
      def fetch(name)
        super(name) do |key|
          resolved = EncryptedS3Service.resolved_services.fetch(key)
          next resolved if resolved

          block_given? ? yield(key) : super(name, &nil)
        end
      end
    end

    # @return [Integer] maximum number of cached services
    attr_reader :limit

    # @return [Numeric] seconds until settings are requested again
    attr_reader :ttl

    # @param resolvers [Array<#call>] each receives a name (String) and returns an entry as in `storage.yml` (a Hash), a
    #   service, or nil
    # @param limit [Integer] maximum number of cached services
    # @param ttl [Numeric] seconds
    def initialize(resolvers, limit: DEFAULT_LIMIT, ttl: DEFAULT_TTL)
      @resolvers = resolvers
      @limit = limit
      @ttl = ttl
      @entries = {}
      @lock = Mutex.new
    end

    # @param name [Symbol, String]
    # @return [ActiveStorage::Service, nil] nil when no resolver returns one
    # @raise [ConfigurationError] when a resolver's result is not a valid entry
    def fetch(name)
      return if @resolvers.empty?

      name = name.to_sym
      entry = @lock.synchronize { @entries[name] }
      # Without the lock: a resolver needs a database connection, and the threads that hold all of them may be waiting
      # for the lock. Two threads may build the same service, which is harmless.
      entry = renew(name, entry) if entry.nil? || now - entry.asked_at > ttl
      keep(name, entry)
      entry&.service
    end

    # Removes a service from this process's cache, for example after its settings were changed. For a tenant's service
    # all services of that tenant are removed.
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

    # The Hash is ordered by last use.
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

    # A resolver uses a database connection. In a thread without Rails' executor nothing else returns it to the pool.
    # One that the thread had before is kept: the tenant's schema may be set in its session.
    def asking
      held = Serving::Connections.held
      yield
    ensure
      Serving::Connections.release(except: held) unless Rails.application.executor.active?
    end

    # The row of a file keeps the service's name. A service with two names would put files of one tenant, or those of no
    # tenant, under the name of another.
    def named(service, name)
      former = service.name
      return service.tap { service.name = name } unless former && former.to_s != name.to_s && known?(former, service)

      raise ConfigurationError, "config.encrypted_s3_service.service_resolver returned the service `#{former}` for " \
                                "the name `#{name}`. Return a Hash, or a service that has no other name."
    end

    def known?(name, service)
      return true if @lock.synchronize { @entries[name.to_sym] }&.service.equal?(service)

      !ServiceEntries.new[name].nil? && ActiveStorage::Blob.services.fetch(name).equal?(service)
    end

    def build(name, settings)
      case settings
      when ActiveStorage::Service then named(settings, name)
      when TenantService then settings.service
      else ResolvedEntry.new(name, settings).service
      end
    end
  end

  # @return [ResolvedServices] configured by the application's settings
  # @api private
  def self.resolved_services
    @resolved_services ||= begin
      settings = EncryptedS3Service.settings
      ResolvedServices.new([TenantKeys.resolver(settings.tenant_keys), settings.service_resolver].compact,
                           limit: settings.resolved_services_limit, ttl: settings.resolved_services_ttl)
    end
  end

  # Removes a service that is not in `storage.yml` from this process's cache, so that changed settings apply at once.
  # Other processes follow within `config.encrypted_s3_service.resolved_services_ttl` seconds.
  # @param name [Symbol, String]
  # @return [void]
  def self.forget_service(name) = resolved_services.forget(name)
end
