# frozen_string_literal: true

module EncryptedS3Service
  # Prepended to ActionController::Live, which runs an action and its callbacks in a thread of its own. Two things would
  # send the files of a stream to the wrong service:
  #
  # - `Current` is emptied when the thread that took the request has ended it, for example because the client has left,
  #   while the action goes on. So the tenant's service is chosen once, before the action.
  # - Until Rails 8.1 the new thread gets nothing of what was set before the controller where
  #   `config.active_support.isolation_level` is `:fiber` (`ActiveSupport::IsolatedExecutionState.share_with` looks at
  #   the thread and not at its fiber). So the choice and the tenant are handed over.
  # @api private
  module LiveStreams
    # Called in the thread that took the request.
    # @return [void]
    def process(*)
      @s3_inherited = [ServiceSwitch.choice, CurrentTenant.get] if fibers_isolated?
      super
    end

    private

    # Called in the thread that streams, before the callbacks. It is private as in AbstractController::Base; a public
    # method of a controller would be an action.
    def process_action(*)
      choice, tenant = @s3_inherited
      tenant = nil if tenant && CurrentTenant.get
      ServiceSwitch.with(ServiceSwitch.choice || choice) do
        tenant ? CurrentTenant.configured.with(tenant) { super } : super
      end
    end

    # Called in the thread that streams, after the callbacks.
    def send_action(*)
      tenant = CurrentTenant.get if ServiceSwitch.choice.nil?
      Tenant.apply(tenant) { super }
    end

    def fibers_isolated? = ActiveSupport::IsolatedExecutionState.isolation_level == :fiber
  end
end
