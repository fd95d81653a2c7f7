# frozen_string_literal: true

require_relative "service_parts"

# The service of new files.
module EncryptedS3Service
  # Chooses the service of new blobs. Active Storage calls `ActiveStorage::Blob.service`, which is one service for the
  # whole process. This module is prepended to ActiveStorage::Blob's singleton class and returns, in this order,
  #
  # 1. the service of the current block ({EncryptedS3Service.with_service}, {Tenant#with_s3_settings}),
  # 2. the service of the current tenant, if `config.encrypted_s3_service.current_tenant` is set,
  # 3. the value of `ActiveStorage::Blob.service` without this gem.
  #
  # So a tenant in `Current` is sufficient even without a callback or block of this gem: in jobs, channels, mailboxes,
  # mailers, tasks, consoles and new threads.
  #
  # It affects new blobs only (ActiveStorage::Blob's `after_initialize`, `app/models/active_storage/blob.rb`). Stored
  # files are read, analyzed, previewed, transformed and purged on the service in their row.
  module ServiceSwitch
    # Key of the thread's or fiber's {Choice} in ActiveSupport::IsolatedExecutionState.
    STATE = :encrypted_s3_service_choice
    # Key of the fiber's number of open blocks. `Thread#[]` is a variable of the fiber.
    DEPTH = :encrypted_s3_service_depth
    private_constant :DEPTH

    # The choice of a block. It is frozen, because a streaming thread (ActionController::Live) shares it with the
    # request's thread.
    # @!attribute [r] service
    #   @return [Symbol, nil] nil for the application's default
    # @!attribute [r] tenant
    #   @return [Tenant, nil] the tenant of the block, if the application's attribute was set to it as well. Then the
    #     attribute is followed: if it is changed to another tenant, that tenant's service is used
    # @!attribute [r] owner
    #   @return [Tenant, nil] the tenant of the block. Its service is looked up for each new file, because the tenant
    #     can be changed inside of the block
    # @!attribute [r] error
    #   @return [Exception, nil] error to raise instead of choosing a service
    Choice = Data.define(:service, :tenant, :owner, :error) do
      # @param service [Symbol, nil]
      # @param tenant [Tenant, nil]
      # @param owner [Tenant, nil]
      # @param error [Exception, nil]
      def initialize(service: nil, tenant: nil, owner: nil, error: nil) = super

      # @return [Symbol, nil] the service of the block, whatever the application's attribute is; nil for the default
      def place = owner ? ServiceSwitch.existing(owner.s3_service_name) : service
    end

    # @return [ActiveStorage::Service, nil] the service of new blobs
    # @raise [ConfigurationError] when the current tenant's service is not declared or does not exist
    def service
      name = ServiceSwitch.current
      name ? services.fetch(name) : super
    end

    class << self
      # @return [Choice, nil] choice of the current block; nil outside of blocks
      # @api private
      def choice = ActiveSupport::IsolatedExecutionState[STATE]

      # @param choice [Choice, nil]
      # @api private
      def choice=(choice)
        ActiveSupport::IsolatedExecutionState[STATE] = choice
      end

      # @param choice [Choice, nil] nil as outside of blocks
      # @yield with the choice set
      # @return [Object] the block's result
      # @api private
      def with(choice)
        before = self.choice
        outside = depth
        self.choice = choice
        Thread.current[DEPTH] = outside + 1
        yield
      ensure
        Thread.current[DEPTH] = outside
        self.choice = before
      end

      # @return [Integer] number of blocks in which this fiber is
      # @api private
      def depth = Thread.current[DEPTH] || 0

      # @return [Symbol, nil] nil for the application's default
      # @raise [ConfigurationError] when the current tenant's service is not declared or does not exist
      # @api private
      def current
        choice = self.choice
        raise choice.error if choice&.error

        tenant = followed_tenant(choice)
        tenant ? existing(Tenant.service_of(tenant)) : choice&.place
      end

      # @return [Tenant, nil] the tenant whose service new files have
      # @api private
      def tenant
        choice = self.choice
        followed_tenant(choice) || choice&.owner
      end

      # @param name [Symbol, String, nil]
      # @return [Symbol, nil]
      # @raise [ConfigurationError]
      # @api private
      def existing(name)
        return if name.nil?
        raise ConfigurationError, "A service is given by name, not as a #{name.class}." unless name.respond_to?(:to_sym)

        ActiveStorage::Blob.services.fetch(name) do
          raise ConfigurationError, "There is no Active Storage service #{name.to_sym.inspect}: #{known_services}."
        end
        name.to_sym
      end

      private

      # @return [Tenant, nil] the current tenant, unless the current block chose a service whatever it is
      def followed_tenant(choice) = (CurrentTenant.get if choice.nil? || choice.tenant)

      def known_services
        names = Rails.configuration.active_storage.service_configurations.to_h.keys
        names.empty? ? "none is configured" : "#{Engine::StorageFile.path} has #{names.join(", ")}"
      end
    end

    # Restores the choice at the end of a request or job. A fiber that entered a block and was never resumed does not
    # run its `ensure`, and the choice would leak into the thread's next request. Registered with Rails' executor
    # (ActiveSupport::ExecutionWrapper.register_hook). It restores instead of clearing, because an executor also runs
    # inside of blocks, around inline jobs.
    #
    # A request that is made inside of another one first ends the run of the other (`run!(reset: true)`). The block in
    # which it is made is still open in this fiber then, and keeps its choice.
    module ExecutorHook
      # @return [Array(Choice, Integer)] passed to {complete}
      def self.run = [ServiceSwitch.choice, ServiceSwitch.depth]

      # @param state [Array(Choice, Integer)] result of {run}
      # @return [void]
      def self.complete(state)
        before, depth = state
        ServiceSwitch.choice = before unless ServiceSwitch.depth > depth
      end
    end
  end

  # Stores new files on another service during the block:
  #
  #     EncryptedS3Service.with_service(:encrypted_amazon) { Document.create!(file: params[:file]) }
  #
  # Blocks can be nested; the former choice is restored however the block is left. The choice applies to this thread or
  # fiber only (`config.active_support.isolation_level`). A thread started inside does not inherit it; pass
  # {EncryptedS3Service.current_service} to it.
  #
  # Order of precedence: the `service_name:` of an attached Hash, the `service:` of `has_one_attached` or
  # `has_many_attached` (a name or, since Rails 7.2, a Proc), this block, the current tenant
  # (`config.encrypted_s3_service.current_tenant`), and `ActiveStorage::Blob.service`, which is
  # `config.active_storage.service`. Stored files are not moved.
  #
  # @param name [Symbol, String, nil] a name in `config/storage.yml`; nil for the application's default, even inside
  #   another block or with a tenant whose files are encrypted
  # @yield with the service set
  # @return [Object] the block's result
  # @raise [ConfigurationError] when the service does not exist; the block is not run then
  def self.with_service(name)
    choice = ServiceSwitch::Choice.new(service: ServiceSwitch.existing(name))
    ServiceSwitch.with(choice) { yield } # rubocop:disable Style/ExplicitBlockArgument -- a missing block must raise
  end

  # @return [Symbol, nil] the service of new files by {with_service} or the current tenant; nil for the application's
  #   default
  # @raise [ConfigurationError] when the current tenant's service is not declared or does not exist
  def self.current_service = ServiceSwitch.current

  # @param name [Symbol, String, nil]
  # @return [Boolean] whether the Active Storage service encrypts; for a mirror whether all of its parts do
  # @raise [ConfigurationError] when the service does not exist
  def self.encrypts?(name)
    name = ServiceSwitch.existing(name)
    !name.nil? && ServiceParts.new(ActiveStorage::Blob.services.fetch(name)).encrypted?
  end
end
