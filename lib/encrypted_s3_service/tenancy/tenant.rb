# frozen_string_literal: true

module EncryptedS3Service
  # For the model whose files are encrypted or not: an organisation, a user.
  #
  #     class Organisation < ApplicationRecord
  #       include EncryptedS3Service::Tenant
  #
  #       encrypts_files_with :encrypted_amazon, if: :encrypted?
  #     end
  #
  #     organisation.with_s3_settings { Document.create!(file: params[:file]) }
  module Tenant
    extend ActiveSupport::Concern

    # What {ClassMethods#encrypts_files_with} was told.
    Declaration = Data.define(:service, :conditions, :current)
    private_constant :Declaration

    class << self
      # Runs a block for a tenant, or as it is when there is none.
      #
      # @param tenant [Tenant, nil]
      # @yield
      # @return [Object] what the block returns
      # @raise [ConfigurationError] when the tenant's class does not include this module
      # @api private
      def apply(tenant, &) = tenant.nil? ? yield : checked(tenant).with_s3_settings(&)

      # @param tenant [Tenant]
      # @return [Symbol, nil]
      # @raise [ConfigurationError] when the tenant's class does not include this module
      # @api private
      def service_of(tenant) = checked(tenant).s3_service_name

      # @param tenant [Tenant]
      # @return [Tenant] the same
      # @raise [ConfigurationError] when the tenant's class does not include this module
      # @api private
      def checked(tenant)
        return tenant if tenant.is_a?(Tenant)

        raise ConfigurationError, "#{tenant.class} is used as a tenant and does not include EncryptedS3Service::Tenant"
      end
    end

    included do
      class_attribute :encrypted_s3_declaration, instance_accessor: false, instance_predicate: false
    end

    # What the model's class can say.
    module ClassMethods
      # Says which service the files of a tenant go to, and for which tenants. The files of the others go to the
      # application's default service.
      #
      #     encrypts_files_with :encrypted_amazon                    # all of them
      #     encrypts_files_with :encrypted_amazon, if: :encrypted?
      #     encrypts_files_with(if: :encrypted?, &:storage_service)  # each its own; the method returns a name
      #
      # @param service [Symbol, String, Proc, nil] a name in `config/storage.yml`, or what is called with the tenant and
      #   returns one
      # @param current [String, false, nil] the attribute that {Tenant#with_s3_settings} sets, such as "Current.user";
      #   false for none, nil for `config.encrypted_s3_service.current_tenant`
      # @param conditions [Hash] `if:` and `unless:`, each a method of the tenant or what is called with it: whether its
      #   files are encrypted
      # @param block [Proc] in the place of `service`
      # @return [void]
      # @raise [ConfigurationError] when no service is named
      # @raise [ArgumentError] on another condition
      def encrypts_files_with(service = nil, current: nil, **conditions, &block)
        service ||= block
        raise ConfigurationError, "encrypts_files_with of #{name} names no service" if service.nil?

        conditions.assert_valid_keys(:if, :unless)
        CurrentTenant.new(current) if current
        self.encrypted_s3_declaration = Declaration.new(service:, conditions:, current:)
      end
    end

    # Runs the block with this tenant's settings: new files go to its service, and the application's own attribute for
    # the tenant (`config.encrypted_s3_service.current_tenant`) says this one. Both are as before afterwards, on every
    # way out. See {EncryptedS3Service.with_service} for what it holds for.
    #
    # @yield
    # @return [Object] what the block returns
    # @raise [ConfigurationError] when the class does not say which service, or says one that does not exist; then the
    #   block is not run
    def with_s3_settings(&)
      attribute = s3_current_attribute
      # Another attribute than the configured one may name one tenant while the configured one names another.
      followed = self if attribute && attribute.path == CurrentTenant.configured&.path
      choice = ServiceSwitch::Choice.new(service: ServiceSwitch.existing(s3_service_name), tenant: followed)
      ServiceSwitch.with(choice) { attribute ? attribute.with(self, &) : yield }
    end

    # @return [Symbol, nil] where this tenant's new files go; nil for the application's default
    # @raise [ConfigurationError] when its files are to be encrypted and no service is named, or a mirror that also
    #   stores plaintext and is not listed in `config.encrypted_s3_service.plaintext_mirrors`
    def s3_service_name
      return unless encrypts_files?

      service = s3_declaration.service
      name = service.respond_to?(:call) ? service.call(self) : service
      # Going on with the default would store in plaintext what was to be encrypted.
      raise ConfigurationError, "The files of #{s3_label} are encrypted, but no service is named" if name.blank?

      refuse_mixed_mirror(name)
      name.to_sym
    end

    # @return [Boolean] whether {ClassMethods#encrypts_files_with} applies to this tenant
    # @raise [ConfigurationError] when the class has none
    def encrypts_files?
      s3_declaration.conditions.all? do |word, condition|
        met = condition.respond_to?(:call) ? condition.call(self) : send(condition)
        word == :if ? met : !met
      end
    end

    private

    def s3_declaration
      self.class.encrypted_s3_declaration or
        raise ConfigurationError, "#{self.class.name} does not say where its files go; add encrypts_files_with to it"
    end

    def s3_current_attribute
      path = s3_declaration.current
      return if path == false

      path ? CurrentTenant.new(path) : CurrentTenant.configured
    end

    def refuse_mixed_mirror(name)
      service = ActiveStorage::Blob.services.fetch(ServiceSwitch.existing(name))
      problem = MixedMirrors.problem(service)
      raise ConfigurationError, "Cannot store the files of #{s3_label}. #{problem}" if problem
    end

    def s3_label = respond_to?(:id) ? "#{self.class.name} #{id}" : self.class.name
  end
end
