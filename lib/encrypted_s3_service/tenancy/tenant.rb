# frozen_string_literal: true

module EncryptedS3Service
  # For the model that owns files, for example an organisation or a user.
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

    # Arguments of {ClassMethods#encrypts_files_with}.
    Declaration = Data.define(:service, :conditions, :current)
    private_constant :Declaration

    class << self
      # Runs a block with a tenant's settings; without a tenant just runs it.
      #
      # @param tenant [Tenant, nil]
      # @yield
      # @return [Object] the block's result
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

        raise ConfigurationError, "#{tenant.class} is used as a tenant but does not include " \
                                  "EncryptedS3Service::Tenant."
      end

      # Without this check, a wrong condition would raise only when the first file is stored.
      # @param conditions [Hash] see {ClassMethods#encrypts_files_with}
      # @return [void]
      # @raise [ArgumentError] for other conditions than `if:` and `unless:`, and for other kinds of them
      # @api private
      def check_conditions(conditions)
        conditions.assert_valid_keys(:if, :unless)
        conditions.each do |word, condition|
          all = condition.is_a?(Array) ? condition : [condition]
          next if all.any? && all.all? { |one| one.is_a?(Symbol) || one.is_a?(String) || one.respond_to?(:call) }

          raise ArgumentError, "`#{word}:` of encrypts_files_with must be the name of a method, a Proc, or an Array " \
                               "of these, not #{condition.inspect}."
        end
      end
    end

    included do
      class_attribute :encrypted_s3_declaration, instance_accessor: false, instance_predicate: false
    end

    # Class methods of the model.
    module ClassMethods
      # Declares the service for the files of tenants, and for which tenants it is used. Files of other tenants go to
      # the application's default service.
      #
      #     encrypts_files_with :encrypted_amazon                    # all of them
      #     encrypts_files_with :encrypted_amazon, if: :encrypted?
      #     encrypts_files_with(if: :encrypted?, &:storage_service)  # one per tenant; the method returns a name
      #
      # @param service [Symbol, String, Proc, nil] a name in `config/storage.yml`, or a Proc that receives the tenant
      #   and returns one. A Proc without parameters runs on the tenant, as in Rails' callbacks
      # @param current [String, false, nil] the attribute that {Tenant#with_s3_settings} sets, for example
      #   "Current.user"; false for none, nil for `config.encrypted_s3_service.current_tenant`
      # @param conditions [Hash] `if:` and `unless:`, each a method name of the tenant, a Proc like `service`, or an
      #   Array of these: whether its files are encrypted
      # @param block [Proc] used as `service`
      # @return [void]
      # @raise [ConfigurationError] when no service is given
      # @raise [ArgumentError] for other conditions than `if:` and `unless:`, and for other kinds of them
      def encrypts_files_with(service = nil, current: nil, **conditions, &block)
        service ||= block
        raise ConfigurationError, "encrypts_files_with of #{name} needs a service." if service.nil?

        Tenant.check_conditions(conditions)
        CurrentTenant.new(current) if current
        self.encrypted_s3_declaration = Declaration.new(service:, conditions:, current:)
      end
    end

    # Runs the block with this tenant's settings: new files go to its service, and the application's attribute for the
    # tenant (`config.encrypted_s3_service.current_tenant`) is set to it. Both are restored however the block is left.
    # See {EncryptedS3Service.with_service} for threads and precedence.
    #
    # @yield
    # @return [Object] the block's result
    # @raise [ConfigurationError] when the class declares no service or a missing one; the block is not run
    #   then
    def with_s3_settings(&)
      attribute = s3_current_attribute
      # With another attribute than the configured one, the two can name different tenants.
      followed = self if attribute && attribute.path == CurrentTenant.configured&.path
      # Raises before the block runs if the service cannot be used.
      ServiceSwitch.existing(s3_service_name)
      choice = ServiceSwitch::Choice.new(owner: self, tenant: followed)
      ServiceSwitch.with(choice) { attribute ? attribute.with(self, &) : yield }
    end

    # @return [Symbol, nil] the service of this tenant's new files; nil for the application's default
    # @raise [ConfigurationError] when its files must be encrypted but there is no service, or the service does not
    #   encrypt, or is a mirror that also stores plaintext and is not in
    #   `config.encrypted_s3_service.plaintext_mirrors`
    def s3_service_name
      return unless encrypts_files?

      service = s3_declaration.service
      name = service.respond_to?(:call) ? s3_result_of(service) : service
      # The default service could store these files in plaintext.
      raise ConfigurationError, "The files of #{s3_label} must be encrypted, but no service is given." if name.blank?

      refuse_plaintext(name)
      name.to_sym
    end

    # @return [Boolean] whether {ClassMethods#encrypts_files_with} applies to this tenant
    # @raise [ConfigurationError] when the class does not declare a service
    def encrypts_files?
      s3_declaration.conditions.all? do |word, conditions|
        met = Array.wrap(conditions).map { |condition| s3_result_of(condition) }
        word == :if ? met.all? : met.none?
      end
    end

    private

    def s3_result_of(source)
      return send(source) unless source.respond_to?(:call)

      source.is_a?(Proc) && source.arity.zero? ? instance_exec(&source) : source.call(self)
    end

    def s3_declaration
      self.class.encrypted_s3_declaration or
        raise ConfigurationError, "#{self.class.name} declares no service for its files. Add encrypts_files_with."
    end

    def s3_current_attribute
      path = s3_declaration.current
      return if path == false

      path ? CurrentTenant.new(path) : CurrentTenant.configured
    end

    def unencrypted(name)
      "The service `#{name}` does not encrypt. Its entry needs `service: EncryptedS3`, in development and tests with " \
        "`root` instead of a bucket."
    end

    def refuse_plaintext(name)
      service = ActiveStorage::Blob.services.fetch(ServiceSwitch.existing(name))
      problem = MixedMirrors.problem(service)
      problem ||= unencrypted(name) if ServiceParts.new(service).encrypted.empty?
      raise ConfigurationError, "Cannot store the files of #{s3_label}. #{problem}" if problem
    end

    def s3_label = respond_to?(:id) ? "#{self.class.name} #{id}" : self.class.name
  end
end
