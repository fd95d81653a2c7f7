# frozen_string_literal: true

module EncryptedS3Service
  # The attribute in which an application keeps the tenant of a request or job, named in one line:
  #
  #     config.encrypted_s3_service.current_tenant = "Current.organisation"
  #
  # The class is looked up by its name each time, so that it may be reloaded.
  class CurrentTenant
    # @return [CurrentTenant, nil] nil when the application names none
    # @raise [ConfigurationError]
    def self.configured
      path = EncryptedS3Service.settings.current_tenant
      new(path) if path
    end

    # @return [Object, nil] the tenant of this request or job
    # @raise [ConfigurationError] when the class or the attribute does not exist
    def self.get = configured&.get

    # @param tenant [Object, nil]
    # @return [String, nil] its GlobalID; nil when it has none, or is not stored yet
    # @api private
    def self.gid_of(tenant)
      tenant.to_global_id.to_s if tenant.respond_to?(:to_global_id) && !tenant.try(:new_record?)
    end

    # @return [String] class and attribute, such as "Current.organisation"
    attr_reader :path

    # @param path [String, Symbol] class and attribute, such as "Current.organisation"
    # @raise [ConfigurationError]
    def initialize(path)
      @path = path.to_s
      @class_name, dot, @attribute = @path.rpartition(".")
      return unless dot.empty? || @class_name.empty?

      raise ConfigurationError, "current_tenant is a class and an attribute, as in \"Current.organisation\", and not " \
                                "#{path.inspect}"
    end

    # @return [Object, nil]
    # @raise [ConfigurationError] when the class or the attribute does not exist. What the attribute itself raises is
    #   passed on
    def get = owner.public_send(@attribute)

    # Sets the attribute while the block runs. It is written only where it changes: an action that streams shares the
    # object behind `Current` with the thread that took the request, which may be serving the next one by the time the
    # stream ends.
    #
    # @param tenant [Object]
    # @yield
    # @return [Object] what the block returns
    def with(tenant)
      before = get
      return yield if before.equal?(tenant)

      begin
        owner.public_send(:"#{@attribute}=", tenant)
        yield
      ensure
        owner.public_send(:"#{@attribute}=", before)
      end
    end

    private

    # @return [Class] that has the attribute
    def owner
      owner = @class_name.safe_constantize
      return owner if owner.respond_to?(@attribute)

      missing = owner ? "#{@class_name} has no #{@attribute}" : "there is no class #{@class_name}"
      raise ConfigurationError, "Cannot find the current tenant: #{missing}. Correct " \
                                "config.encrypted_s3_service.current_tenant (#{@path})."
    end
  end
end
