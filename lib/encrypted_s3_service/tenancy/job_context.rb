# frozen_string_literal: true

module EncryptedS3Service
  # What a job keeps of the place where it was enqueued.
  # @api private
  class JobContext
    # @return [JobContext] of what is in force here
    # @raise [ConfigurationError] when the tenant's class does not include {Tenant}
    def self.capture
      tenant = CurrentTenant.get
      return new("service" => EncryptedS3Service.current_service&.to_s) unless tenant

      # Only what was chosen on top of the tenant's: its settings are looked up when the job is performed.
      service = EncryptedS3Service.current_service
      service = nil if service == Tenant.service_of(tenant)
      new("tenant" => tenant.to_global_id.to_s, "service" => service&.to_s)
    end

    # @param data [Hash{String => Object}] as {#to_h} returns it
    def initialize(data)
      @data = data.compact
    end

    # @return [Hash{String => Object}] of what every queue can store
    def to_h = @data

    # @yield with the tenant and the service in force
    # @return [Object] what the block returns
    # @raise [MissingTenantError]
    # @raise [ConfigurationError] when the service does not exist any more
    def apply(&)
      tenant, service = @data.values_at("tenant", "service")
      return EncryptedS3Service.with_service(service, &) unless tenant

      Tenant.apply(locate(tenant)) { service ? EncryptedS3Service.with_service(service, &) : yield }
    end

    private

    def locate(gid)
      GlobalID::Locator.locate(gid) || missing(gid)
    rescue ActiveRecord::RecordNotFound
      missing(gid)
    end

    def missing(gid)
      raise MissingTenantError, "The tenant #{gid}, for whom the job was enqueued, does not exist"
    end
  end
end
