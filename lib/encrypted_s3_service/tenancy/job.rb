# frozen_string_literal: true

require_relative "carried_tenant"

module EncryptedS3Service
  # Carries the tenant, or the service, from the place where a job is enqueued into the job. The job is not performed
  # without it:
  #
  #     class ApplicationJob < ActiveJob::Base
  #       include EncryptedS3Service::Job
  #
  #       discard_on EncryptedS3Service::MissingTenantError   # otherwise it is raised like other errors of jobs
  #     end
  #
  # The queue stores the tenant's GlobalID or the service's name, nothing else of `Current`. They are looked up when the
  # job is performed, not when it is deserialized, which dashboards do as well. If the tenant or service no longer
  # exists, the job is not performed, and the error goes to its `discard_on`, `retry_on` and `rescue_from`. A retry
  # keeps the original tenant. `perform_now` on a job that was never enqueued uses the tenant of its caller.
  #
  # Jobs of gems, such as ActionMailer::MailDeliveryJob, carry the tenant as well, see {CarriedTenant}. Jobs of Active
  # Storage do not need it, because they work on a blob whose row names its service.
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
