# frozen_string_literal: true

module EncryptedS3Service
  # Takes the tenant, or the service, that was in force when a job was enqueued into the job:
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
  # Active Storage's own jobs need none of this: they work on a blob, whose row names its service. The exception is
  # ActiveStorage::MirrorJob, which Rails runs on the default service, tenants or none.
  module Job
    extend ActiveSupport::Concern

    # Its place in the job's data.
    DATA = "encrypted_s3_service"

    included do
      before_perform(prepend: true) { raise @s3_failure if @s3_failure }
    end

    # @return [Hash] the job's data with the tenant's or service's
    # @api private
    def serialize = super.merge(DATA => (@s3_carried || @s3_captured || JobContext.capture).to_h)

    # @param data [Hash]
    # @return [void]
    # @api private
    def deserialize(data)
      super
      @s3_carried = JobContext.new(data[DATA]) if data[DATA]
    end

    # The queue may be given the job later than this, after the transaction, when the tenant's block has ended.
    # @api private
    def enqueue(...)
      @s3_captured = JobContext.capture unless @s3_carried
      super
    end

    # @return [Object] what the job returns
    # @api private
    def perform_now
      return super unless @s3_carried

      entered = false
      begin
        @s3_carried.apply do
          entered = true
          super
        end
      rescue StandardError => e
        raise if entered

        # Raised again by the callback above, where Active Job rescues and before anything of the job has run.
        @s3_failure = e
        super
      end
    end
  end
end
