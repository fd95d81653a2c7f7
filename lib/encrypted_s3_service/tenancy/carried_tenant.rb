# frozen_string_literal: true

module EncryptedS3Service
  # Takes the tenant, or the service, that was in force when a job was enqueued into the job. It is included in
  # ActiveJob::Base, so that jobs of gems (ActionMailer::MailDeliveryJob) store files where the tenant's files go.
  # `config.encrypted_s3_service.carry_tenant_in_jobs = false` leaves it to the jobs that include {Job}.
  #
  # A job whose tenant is gone is performed, because most jobs make no files; only making one raises
  # {MissingTenantError}. A job that includes {Job} is not performed.
  # @api private
  module CarriedTenant
    # Its place in the job's data.
    DATA = "encrypted_s3_service"

    # @return [Hash] the job's data with the tenant's or service's
    def serialize
      return super unless s3_tenant_carried?

      context = @s3_carried || @s3_captured || s3_capture
      context.empty? && !s3_tenant_required? ? super : super.merge(DATA => context.to_h)
    end

    # @param data [Hash]
    # @return [void]
    def deserialize(data)
      super
      @s3_carried = JobContext.new(data[DATA]) if data[DATA]
    end

    # The queue may be given the job later than this, after the transaction, when the tenant's block has ended.
    def enqueue(...)
      @s3_captured = s3_capture unless @s3_carried || !s3_tenant_carried?
      super
    end

    # @return [Object] what the job returns
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

        s3_without_context(e) { super }
      end
    end

    private

    # Whether the job is not performed without its tenant.
    def s3_tenant_required? = false

    # The jobs of Active Storage follow the row of their blob. The one that mirrors has no row, see {MirrorJobs}.
    def s3_tenant_carried?
      name = self.class.name.to_s
      return name == "ActiveStorage::MirrorJob" if name.start_with?("ActiveStorage::")

      EncryptedS3Service.settings.carry_tenant_in_jobs
    end

    def s3_capture = s3_tenant_required? ? JobContext.capture : JobContext.capture_leniently

    def s3_without_context(error, &)
      # Raised again by the callback in {Job}, where Active Job rescues and before anything of the job has run.
      return (@s3_failure = error) && yield if s3_tenant_required?

      ServiceSwitch.with(ServiceSwitch::Choice.new(error: error), &)
    end
  end
end
