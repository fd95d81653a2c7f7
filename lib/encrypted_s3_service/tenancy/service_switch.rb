# frozen_string_literal: true

require_relative "service_parts"

# The part of the gem that needs Rails: which service new files go to.
module EncryptedS3Service
  # Decides where a new blob goes that names no service itself. Active Storage asks `ActiveStorage::Blob.service`, which
  # is one service for the whole process; this reader is prepended to ActiveStorage::Blob's singleton class and answers,
  # in this order, with
  #
  # 1. the service of the block that is in force ({EncryptedS3Service.with_service}, {Tenant#with_s3_settings}),
  # 2. the service of the current tenant, where `config.encrypted_s3_service.current_tenant` names an attribute,
  # 3. what `ActiveStorage::Blob.service` would be without this gem.
  #
  # So a tenant in `Current` is enough, also where no callback or block of this gem runs: in jobs, channels, mailboxes,
  # mailers, tasks, consoles and new threads.
  #
  # Only new blobs ask (ActiveStorage::Blob's `after_initialize`, `app/models/active_storage/blob.rb`). Whoever reads,
  # analyzes, previews, transforms or purges a file follows the service that its row names.
  module ServiceSwitch
    # Where ActiveSupport::IsolatedExecutionState keeps the {Choice} of this thread or fiber.
    STATE = :encrypted_s3_service_choice

    # What a block has chosen. It is frozen, because a thread that streams (ActionController::Live) shares it with the
    # thread that took the request.
    # @!attribute [r] service
    #   @return [Symbol, nil] nil for the application's default
    # @!attribute [r] tenant
    #   @return [Tenant, nil] whose settings made the choice, when the tenant is in the application's attribute as well.
    #     When the attribute names another tenant meanwhile, that one counts
    # @!attribute [r] error
    #   @return [Exception, nil] why no service can be chosen
    Choice = Data.define(:service, :tenant, :error) do
      # @param service [Symbol, nil]
      # @param tenant [Tenant, nil]
      # @param error [Exception, nil]
      def initialize(service: nil, tenant: nil, error: nil) = super
    end

    # @return [ActiveStorage::Service, nil] where a new blob goes that names no service itself
    # @raise [ConfigurationError] when the current tenant's service cannot be found out, or does not exist
    def service
      name = ServiceSwitch.current
      name ? services.fetch(name) : super
    end

    class << self
      # @return [Choice, nil] of the block that is in force; nil outside of blocks
      # @api private
      def choice = ActiveSupport::IsolatedExecutionState[STATE]

      # @param choice [Choice, nil]
      # @api private
      def choice=(choice)
        ActiveSupport::IsolatedExecutionState[STATE] = choice
      end

      # @param choice [Choice, nil] nil for none, as outside of blocks
      # @yield with the choice in force
      # @return [Object] what the block returns
      # @api private
      def with(choice)
        before = self.choice
        self.choice = choice
        yield
      ensure
        self.choice = before
      end

      # @return [Symbol, nil] nil for the application's default
      # @raise [ConfigurationError] when the current tenant's service cannot be found out, or does not exist
      # @api private
      def current
        choice = self.choice
        raise choice.error if choice&.error

        tenant = followed_tenant(choice)
        tenant ? existing(Tenant.service_of(tenant)) : choice&.service
      end

      # @param name [Symbol, String, nil]
      # @return [Symbol, nil]
      # @raise [ConfigurationError]
      # @api private
      def existing(name)
        return if name.nil?
        raise ConfigurationError, "A service is a name, not a #{name.class}" unless name.respond_to?(:to_sym)

        ActiveStorage::Blob.services.fetch(name) do
          raise ConfigurationError, "There is no Active Storage service #{name.to_sym.inspect}; #{known_services}."
        end
        name.to_sym
      end

      private

      # @return [Tenant, nil] the current tenant, unless a block has chosen for it, or regardless of tenants
      def followed_tenant(choice)
        return CurrentTenant.get if choice.nil?
        return if choice.tenant.nil?

        tenant = CurrentTenant.get
        tenant unless tenant == choice.tenant
      end

      def known_services
        names = Rails.configuration.active_storage.service_configurations.to_h.keys
        names.empty? ? "none is configured" : "config/storage.yml has #{names.join(", ")}"
      end
    end

    # Ends with a request or job what it left behind: a fiber that entered a block and was never resumed does not run
    # its `ensure`, and its thread would take the switch into the next request. Registered with Rails' executor
    # (ActiveSupport::ExecutionWrapper.register_hook). It puts back what was there instead of clearing, because an
    # executor also runs inside a block: around an inline job.
    module ExecutorHook
      # @return [Choice, nil] what {complete} is given
      def self.run = ServiceSwitch.choice

      # @param before [Choice, nil]
      # @return [void]
      def self.complete(before)
        ServiceSwitch.choice = before
      end
    end
  end

  # Sends new files to another service while the block runs:
  #
  #     EncryptedS3Service.with_service(:encrypted_amazon) { Document.create!(file: params[:file]) }
  #
  # Blocks nest, and the former choice comes back on every way out. It holds in this thread, or fiber, alone
  # (`config.active_support.isolation_level`): a thread that is started inside is not switched and has to be given
  # {EncryptedS3Service.current_service}.
  #
  # Of several that name a service the most specific wins: the `service_name:` of a Hash that is attached, then the
  # `service:` of `has_one_attached` or `has_many_attached` (a name or, from Rails 7.2 on, a Proc), then this block,
  # then the current tenant (`config.encrypted_s3_service.current_tenant`), then `ActiveStorage::Blob.service` and so
  # `config.active_storage.service`. Files that are stored already stay where they are, and are read from there.
  #
  # @param name [Symbol, String, nil] as in `config/storage.yml`; nil for the application's default, also inside another
  #   block and for a tenant whose files are encrypted
  # @yield with the switch in force
  # @return [Object] what the block returns
  # @raise [ConfigurationError] when there is no such service; then the block is not run
  def self.with_service(name)
    choice = ServiceSwitch::Choice.new(service: ServiceSwitch.existing(name))
    ServiceSwitch.with(choice) { yield } # rubocop:disable Style/ExplicitBlockArgument -- a missing block must raise
  end

  # @return [Symbol, nil] the service that new files go to here, by {with_service} or by the current tenant; nil where
  #   the application's default holds
  # @raise [ConfigurationError] when the current tenant's service cannot be found out, or does not exist
  def self.current_service = ServiceSwitch.current

  # @param name [Symbol, String, nil]
  # @return [Boolean] whether that Active Storage service encrypts; a mirror does when everything it consists of does
  # @raise [ConfigurationError] when there is no such service
  def self.encrypts?(name)
    name = ServiceSwitch.existing(name)
    !name.nil? && ServiceParts.new(ActiveStorage::Blob.services.fetch(name)).encrypted?
  end
end
