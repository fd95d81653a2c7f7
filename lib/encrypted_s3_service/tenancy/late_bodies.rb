# frozen_string_literal: true

module EncryptedS3Service
  # Bodies of responses that are generated after the action, while the server sends them: an Enumerator, a streamed
  # template. The callback around the action has ended then, so its tenant is put in force once more.
  # @api private
  module LateBodies
    # Methods by which a server takes a body that is not complete (Rack's specification).
    METHODS = %i[each call].freeze
    private_constant :METHODS

    # @param body [Object, nil] body of a response
    # @param tenant [Tenant]
    # @return [void]
    def self.generate_for(tenant, body)
      return if body.nil? || body.frozen? || body.respond_to?(:to_ary)
      # A stored file. Finding the tenant's service could take a database connection for as long as it is sent.
      return if body.is_a?(Serving::Body) || body.respond_to?(:to_path)

      METHODS.select { |name| body.respond_to?(name) }.each do |name|
        body.define_singleton_method(name) do |*arguments, &block|
          Tenant.apply(tenant) { super(*arguments, &block) }
        end
      end
    end
  end
end
