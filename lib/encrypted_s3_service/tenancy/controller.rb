# frozen_string_literal: true

module EncryptedS3Service
  # Runs every action of a controller with the settings of the request's tenant:
  #
  #     class ApplicationController < ActionController::Base
  #       before_action :find_organisation      # sets Current.organisation
  #       include EncryptedS3Service::Controller
  #     end
  #
  # It stands after the callback that finds the tenant. Where the application names its attribute
  # (`config.encrypted_s3_service.current_tenant`), new files follow the attribute also without this module and before
  # this callback; what it adds is that the choice is made once, for the whole action.
  #
  # Active Storage's own controllers do not inherit from ApplicationController, so a callback of it never runs for
  # direct uploads. `config.encrypted_s3_service.active_storage_concerns` includes this module in them, see
  # {Controller.include_in}.
  #
  # An action that streams (ActionController::Live) runs, with its callbacks, in a thread of its own, and keeps the
  # service it began with to its end, whatever the thread that took the request does meanwhile.
  module Controller
    extend ActiveSupport::Concern

    included do
      around_action :set_active_storage_service
    end

    # Includes what the application has for finding its tenant, and this module after it, in Active Storage's own
    # controllers.
    #
    # @param choice [true, String, Array<String>, nil] the names of the application's concerns; true where the tenant is
    #   known before any controller (in a Rack middleware); nothing is done on nil or false
    # @param base [Class] Active Storage's base controller
    # @return [void]
    # @api private
    def self.include_in(choice, base)
      return unless choice

      concerns = choice == true ? [] : Array(choice).map { |name| name.to_s.constantize }
      [*concerns, self].each { |concern| base.include(concern) unless base.include?(concern) }
    end

    private

    # The callback.
    def set_active_storage_service(&)
      Tenant.apply(s3_tenant, &)
    end

    # The tenant of this request, nil for none. It may be overridden.
    #
    # @return [Tenant, nil] what the attribute named by `config.encrypted_s3_service.current_tenant` says
    def s3_tenant = CurrentTenant.get
  end
end
