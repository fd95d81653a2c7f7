# frozen_string_literal: true

module EncryptedS3Service
  # What a job keeps of the place where it was enqueued: the tenant's GlobalID, the service that a block has chosen
  # (`"default"` for the application's default), or why the tenant could not be found out.
  # @api private
  class JobContext
    class << self
      # @return [JobContext] of what is in force here
      # @raise [ConfigurationError] when the tenant's class does not include {Tenant}
      def capture
        choice = ServiceSwitch.choice
        tenant = CurrentTenant.get || choice&.tenant
        return new(chosen(choice)) unless tenant

        gid = CurrentTenant.gid_of(Tenant.checked(tenant))
        # A tenant that is not stored, as at a sign-up, cannot be found again: its service can.
        return new(service(ServiceSwitch.current)) unless gid

        # A tenant's settings are looked up when the job is performed. A block's choice on top of them is not.
        new("tenant" => gid, **(choice&.tenant ? {} : chosen(choice)))
      end

      # As {capture}, for jobs that may have nothing to do with files and must not fail here.
      # @return [JobContext]
      def capture_leniently
        capture
      rescue StandardError => e
        new("unknown" => e.class.name)
      end

      private

      def chosen(choice) = choice ? service(choice.service) : {}

      def service(name) = name ? { "service" => name.to_s } : { "default" => true }
    end

    # @param data [Hash{String => Object}] as {#to_h} returns it
    def initialize(data)
      @data = data.compact
    end

    # @return [Hash{String => Object}] of what every queue can store
    def to_h = @data

    # @return [Boolean] whether nothing was in force
    def empty? = @data.empty?

    # @yield with the tenant and the service in force
    # @return [Object] what the block returns
    # @raise [MissingTenantError]
    # @raise [ConfigurationError] when the service does not exist any more
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
      raise MissingTenantError, "The tenant #{gid}, for whom the job was enqueued, does not exist"
    end

    def refuse_unknown
      return unless @data["unknown"]

      raise MissingTenantError, "The tenant for whom the job was enqueued is not known: looking for it raised " \
                                "#{@data["unknown"]}"
    end
  end
end
