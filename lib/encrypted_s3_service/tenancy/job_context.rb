# frozen_string_literal: true

module EncryptedS3Service
  # The context in which a job was enqueued: the tenant's GlobalID, the service of a block (`"default"` for the
  # application's default), or the error that prevented finding the tenant.
  # @api private
  class JobContext
    class << self
      # @return [JobContext] the current tenant and service
      # @raise [ConfigurationError] when the tenant's class does not include {Tenant}
      def capture
        choice = ServiceSwitch.choice
        return unknown(choice.error) if choice&.error

        tenant = CurrentTenant.get || choice&.tenant
        return new(chosen(choice)) unless tenant

        gid = CurrentTenant.gid_of(Tenant.checked(tenant))
        return of_unsaved(choice) unless gid

        # A tenant's service is looked up when the job is performed. The service of a block is kept.
        new("tenant" => gid, **(choice&.tenant ? {} : chosen(choice)))
      end

      # Like {capture}, but never raises, because the job may have nothing to do with files.
      # @return [JobContext]
      def capture_leniently
        capture
      rescue StandardError => e
        unknown(e)
      end

      # @return [JobContext] the service of the current block, for a job that works on a file there and needs no tenant
      def capture_service = new(chosen(ServiceSwitch.choice))

      private

      def unknown(error) = new("unknown" => error.class.name)

      # A new record, as at a sign-up, cannot be found again, but its service can. If it has none, the job begins
      # without a choice, so that it can set a tenant itself.
      def of_unsaved(choice)
        return new(chosen(choice)) if choice && choice.tenant.nil?

        name = ServiceSwitch.current
        new(name ? service(name) : {})
      end

      def chosen(choice) = choice ? service(choice.place) : {}

      def service(name) = name ? { "service" => name.to_s } : { "default" => true }
    end

    # @param data [Hash{String => Object}] a result of {#to_h}
    def initialize(data)
      @data = data.compact
    end

    # @return [Hash{String => Object}] Strings and booleans, which every queue can store
    def to_h = @data

    # @param other [Object]
    # @return [Boolean] whether it is the same tenant and service
    def ==(other) = other.is_a?(JobContext) && to_h == other.to_h

    # @return [Boolean] whether there was neither a tenant nor a service
    def empty? = @data.empty?

    # @yield with the tenant and the service set
    # @return [Object] the block's result
    # @raise [MissingTenantError]
    # @raise [ConfigurationError] when the service no longer exists
    def apply(&)
      refuse_unknown
      return with_chosen(&) unless @data["tenant"]

      tenant = locate(@data["tenant"])
      ServiceSwitch.with(nil) { Tenant.apply(tenant) { chosen? ? with_chosen(&) : yield } }
    end

    private

    def chosen? = @data.key?("service") || @data.key?("default")

    def with_chosen(&)
      chosen? ? EncryptedS3Service.with_service(@data["service"], &) : ServiceSwitch.with(nil, &)
    end

    def locate(gid)
      GlobalID::Locator.locate(gid) || missing(gid)
    rescue StandardError => e
      raise unless defined?(ActiveRecord::RecordNotFound) && e.is_a?(ActiveRecord::RecordNotFound)

      missing(gid)
    end

    def missing(gid)
      raise MissingTenantError, "The job's tenant #{gid} does not exist."
    end

    def refuse_unknown
      return unless @data["unknown"]

      raise MissingTenantError, "The job's tenant is unknown because finding it raised " \
                                "#{@data["unknown"]} when the job was enqueued."
    end
  end
end
