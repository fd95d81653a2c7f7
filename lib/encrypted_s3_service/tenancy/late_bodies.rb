# frozen_string_literal: true

module EncryptedS3Service
  # Bodies of responses that are generated after the action, while the server sends them: an Enumerator, a streamed
  # template. The callback around the action has ended then, so the tenant is set again.
  # @api private
  module LateBodies
    # Methods by which a server reads a streamed body (Rack's specification).
    METHODS = %i[each call].freeze
    private_constant :METHODS

    # @param body [Object, nil] body of a response
    # @param tenant [Tenant, nil] the tenant at the end of the action
    # @return [void]
    def self.generate_for(tenant, body)
      return if tenant.nil? || body.nil? || body.frozen? || body.respond_to?(:to_ary)
      # A stored file needs no tenant. Finding the tenant could take a database connection for as long as the file is
      # sent.
      return if body.is_a?(Serving::Body) || body.respond_to?(:to_path)

      METHODS.select { |name| body.respond_to?(name) }.each do |name|
        body.define_singleton_method(name) do |*arguments, &block|
          Tenant.apply(tenant) { super(*arguments, &block) }
        end
      end
    end
  end
end
