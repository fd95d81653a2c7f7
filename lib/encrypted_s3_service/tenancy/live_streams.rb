# frozen_string_literal: true

module EncryptedS3Service
  # Prepended to ActionController::Live, which runs an action and its callbacks in a new thread. Without this module the
  # files of a stream could go to the wrong service for three reasons:
  #
  # - Both threads have the same object behind `Current`, which is reset when the request's thread ends the request, for
  #   example because the client disconnected, while the action continues. Until Rails 8.0 it then has the tenant of
  #   that thread's next request. So the stream gets a copy.
  # - The action itself can reset `Current`. So the tenant is kept from before the action.
  # - Until Rails 8.1 the new thread does not inherit the state set before the controller if
  #   `config.active_support.isolation_level` is `:fiber` (`ActiveSupport::IsolatedExecutionState.share_with` reads the
  #   thread's state and not the fiber's). So choice and tenant are passed on.
  # @api private
  module LiveStreams
    # Key of the objects behind `Current` (ActiveSupport::CurrentAttributes) until Rails 8.0.
    INSTANCES = :current_attributes_instances
    # Key of ActiveSupport::ExecutionContext, which has them from Rails 8.1 on.
    CONTEXT = :active_support_execution_context
    private_constant :INSTANCES, :CONTEXT

    # Called in the request's thread.
    # @return [void]
    def process(*)
      @s3_inherited = [ServiceSwitch.choice, CurrentTenant.get] if fibers_isolated?
      @s3_request_thread = Thread.current
      super
    end

    private

    # Called in the streaming thread, before the callbacks. Private as in AbstractController::Base, because a public
    # method of a controller would be an action.
    def process_action(*)
      own_current_attributes unless Thread.current.equal?(@s3_request_thread)
      choice, tenant = @s3_inherited
      tenant = nil if tenant && CurrentTenant.get
      ServiceSwitch.with(ServiceSwitch.choice || choice) do
        tenant ? CurrentTenant.configured.with(tenant) { super } : super
      end
    end

    # Called in the streaming thread, after the callbacks.
    def send_action(*)
      tenant = CurrentTenant.get if ServiceSwitch.choice.nil?
      Tenant.apply(tenant) { super }
    end

    # Keeps `Current` as it is now, in objects of this thread's own.
    def own_current_attributes
      context = ActiveSupport::ExecutionContext
      return own_context(context) if context.respond_to?(:current_attributes_instances)

      state = ActiveSupport::IsolatedExecutionState
      state[INSTANCES] &&= copies_of(state[INSTANCES])
    end

    def own_context(context)
      entries = context.to_h
      instances = copies_of(context.current_attributes_instances)
      ActiveSupport::IsolatedExecutionState.delete(CONTEXT)
      context.set(**entries)
      context.current_attributes_instances.merge!(instances)
    end

    def copies_of(instances)
      instances.transform_values { |one| one.dup.tap { |copy| copy.attributes = one.attributes.dup } }
    end

    def fibers_isolated? = ActiveSupport::IsolatedExecutionState.isolation_level == :fiber
  end
end
