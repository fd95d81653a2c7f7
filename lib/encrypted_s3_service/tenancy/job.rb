# frozen_string_literal: true

require_relative "carried_tenant"

module EncryptedS3Service
  # Takes the tenant, or the service, that was in force when a job was enqueued into the job, and does not perform it
  # without:
  #
  #     class ApplicationJob < ActiveJob::Base
  #       include EncryptedS3Service::Job
  #
  #       discard_on EncryptedS3Service::MissingTenantError   # otherwise it is raised, as any other error of a job
  #     end
  #
  # The queue holds the tenant's GlobalID or the service's name, nothing else of `Current`. They are looked up when the
  # job is performed and not when it is deserialized, which dashboards do too. A job whose tenant or service is gone is
  # not performed: its error goes to the job's own `discard_on`, `retry_on` and `rescue_from`. A retry keeps what it was
  # enqueued with. `perform_now` on a job that was never in a queue stays with what is in force around it.
  #
  # Jobs of gems, such as ActionMailer::MailDeliveryJob, take the tenant along too, see {CarriedTenant}. The jobs of
  # Active Storage need none of this: they work on a blob, whose row names its service.
  module Job
    extend ActiveSupport::Concern

    include CarriedTenant

    included do
      before_perform(prepend: true) { raise @s3_failure if @s3_failure }
    end

    private

    def s3_tenant_required? = true

    def s3_tenant_carried? = true
  end
end
