# frozen_string_literal: true

module EncryptedS3Service
  # The attribute in which the application keeps the tenant of a request or job:
  #
  #     config.encrypted_s3_service.current_tenant = "Current.organisation"
  #
  # The class is looked up by name each time, so that it can be reloaded.
  class CurrentTenant
    # @return [CurrentTenant, nil] nil when the setting is not set
    # @raise [ConfigurationError]
    def self.configured
      path = EncryptedS3Service.settings.current_tenant
      new(path) if path
    end

    # @return [Object, nil] the tenant of this request or job
    # @raise [ConfigurationError] when the class or the attribute does not exist
    def self.get = configured&.get

    # @param tenant [Object, nil]
    # @return [String, nil] its GlobalID; nil when it has none or is a new record
    # @api private
    def self.gid_of(tenant)
      tenant.to_global_id.to_s if tenant.respond_to?(:to_global_id) && !tenant.try(:new_record?)
    end

    # @return [String] class and attribute, for example "Current.organisation"
    attr_reader :path

    # @param path [String, Symbol] class and attribute, for example "Current.organisation"
    # @raise [ConfigurationError]
    def initialize(path)
      @path = path.to_s
      @class_name, dot, @attribute = @path.rpartition(".")
      return unless dot.empty? || @class_name.empty?

      raise ConfigurationError, "current_tenant must be a class and an attribute, like \"Current.organisation\", not " \
                                "#{path.inspect}"
    end

    # @return [Object, nil]
    # @raise [ConfigurationError] when the class or the attribute does not exist. Errors of the attribute itself are
    #   passed on
    def get = owner.public_send(@attribute)

    # Sets the attribute during the block. It is not written when it has the value already: a streaming action shares
    # the object behind `Current` with the request's thread, which may be serving another request when the stream ends.
    #
    # @param tenant [Object]
    # @yield
    # @return [Object] the block's result
    # @raise [ConfigurationError] when the attribute can only be read, or has another value after it was set
    def with(tenant)
      before = get
      return yield if before.equal?(tenant)

      refuse_reader
      begin
        owner.public_send(:"#{@attribute}=", tenant)
        refuse_another(get, tenant)
        yield
      ensure
        owner.public_send(:"#{@attribute}=", before)
      end
    end

    private

    def refuse_reader
      return if owner.respond_to?(:"#{@attribute}=")

      raise ConfigurationError, "Cannot set the current tenant: #{@path} can only be read. Declare " \
                                "`attribute :#{@attribute}` in #{@class_name} instead of a method."
    end

    # New files would go to the service of the other tenant.
    def refuse_another(found, tenant)
      return if found.equal?(tenant) || found == tenant

      raise ConfigurationError, "Cannot set the current tenant: #{@path} still has another value. A method of this " \
                                "name in #{@class_name}, such as one of `delegate`, replaces the attribute's reader. " \
                                "Remove it."
    end

    # @return [Class] the class with the attribute
    def owner
      owner = @class_name.safe_constantize
      return owner if owner.respond_to?(@attribute)

      missing = owner ? "#{@class_name} has no #{@attribute}" : "the class #{@class_name} does not exist"
      raise ConfigurationError, "Cannot find the current tenant: #{missing}. Correct " \
                                "config.encrypted_s3_service.current_tenant (#{@path})."
    end
  end
end
