# frozen_string_literal: true

module EncryptedS3Service
  # Runs every action of a controller with the settings of the request's tenant:
  #
  #     class ApplicationController < ActionController::Base
  #       before_action :find_organisation      # sets Current.organisation
  #       include EncryptedS3Service::Controller
  #     end
  #
  # Include it after the callback that sets the tenant. If `config.encrypted_s3_service.current_tenant` is set, new
  # files follow that attribute even without this module; with it the service is chosen once, for the whole action.
  #
  # Active Storage's own controllers do not inherit from ApplicationController, so its callbacks do not run for direct
  # uploads. `config.encrypted_s3_service.active_storage_concerns` includes this module in them, see
  # {Controller.include_in}.
  #
  # A streaming action (ActionController::Live) runs with its callbacks in its own thread and keeps its service to the
  # end, even when the request's thread is already serving another request. So do the handlers of `rescue_from`, and a
  # body that is generated after the action, see {LateBodies}.
  module Controller
    extend ActiveSupport::Concern

    included do
      around_action :set_active_storage_service
    end

    # Includes the application's concerns, and this module after them, in Active Storage's own controllers.
    #
    # @param choice [true, String, Array<String>, nil] names of the application's concerns; true if the tenant is set
    #   before any controller runs, for example by a Rack middleware; nil or false does nothing
    # @param base [Class] Active Storage's base controller
    # @return [void]
    # @api private
    def self.include_in(choice, base)
      return unless choice

      # Engines' controllers have no URL helpers of the application, which an authentication needs for its redirects.
      helpers = Rails.application.routes.url_helpers
      concerns = choice == true ? [] : Array(choice).map { |name| name.to_s.constantize }
      [helpers, *concerns, self].each { |concern| base.include(concern) unless base.include?(concern) }
    end

    # A handler of `rescue_from` runs when the callbacks around the action have ended. It keeps the service of the
    # action.
    # Public as in ActiveSupport::Rescuable, and therefore not an action.
    #
    # @return [Object, nil] as ActiveSupport::Rescuable#rescue_with_handler
    # @api private
    def rescue_with_handler(...)
      ServiceSwitch.with(@s3_choice || ServiceSwitch.choice) { super }
    end

    private

    # Ends what {#set_active_storage_service} leaves set.
    def process_action(*)
      ServiceSwitch.with(ServiceSwitch.choice) { super.tap { keep_for_late_body } }
    end

    # The tenant at the end, which the action may have changed.
    def keep_for_late_body
      return if !defined?(@s3_choice) || is_a?(ActionController::Live)

      LateBodies.generate_for(ServiceSwitch.with(@s3_choice) { ServiceSwitch.tenant }, response_body)
    end

    # The callback around each action. The choice stays for callbacks that were declared before it and run later.
    def set_active_storage_service
      Tenant.apply(s3_tenant) do
        @s3_choice = ServiceSwitch.choice
        yield
      end
    rescue StandardError => e
      # The tenant or its service is not known, so nothing is stored.
      @s3_choice = ServiceSwitch::Choice.new(error: e) unless defined?(@s3_choice)
      raise
    ensure
      ServiceSwitch.choice ||= @s3_choice
    end

    # The tenant of this request. It can be overridden.
    #
    # @return [Tenant, nil] value of the attribute in `config.encrypted_s3_service.current_tenant`; nil for no tenant
    def s3_tenant = CurrentTenant.get
  end
end
