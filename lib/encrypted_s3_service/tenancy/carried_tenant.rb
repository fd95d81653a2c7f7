# frozen_string_literal: true

module EncryptedS3Service
  # Carries the tenant, or the service, from the place where a job is enqueued into the job. It is included in
  # ActiveJob::Base, so that jobs of gems (ActionMailer::MailDeliveryJob) store files on the tenant's service. With
  # `config.encrypted_s3_service.carry_tenant_in_jobs = false` only jobs that include {Job} carry it.
  #
  # A job whose tenant no longer exists is performed, because most jobs create no files; creating one raises
  # {MissingTenantError}. A job that includes {Job} is not performed.
  # @api private
  module CarriedTenant
    # Key in the job's data.
    DATA = "encrypted_s3_service"

    # Prepended to the singleton class of ActiveJob. `perform_all_later` does not call {CarriedTenant#enqueue}, and from
    # Rails 8.1 on it can pass the jobs to the queue after the transaction.
    module InBulk
      # @param jobs [Array<ActiveJob::Base>]
      # @return [nil]
      def perform_all_later(*jobs)
        jobs.flatten.each(&:capture_s3_tenant)
        super
      end
    end

    # @return [Hash] the job's data, including the tenant or service
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

    # @return [Object] as ActiveJob::Enqueuing#enqueue
    def enqueue(...)
      capture_s3_tenant
      super
    end

    # Captures the tenant now: Active Job may pass the job to the queue later, after the transaction and outside of the
    # tenant's block.
    # @return [void]
    def capture_s3_tenant
      @s3_captured = @s3_found || s3_capture unless @s3_carried || !s3_tenant_carried?
    end

    # The application's callbacks before and around the enqueueing can set a tenant. Active Job runs them now or, from
    # Rails 8.1 on, after the transaction.
    # @return [Object] as ActiveSupport::Callbacks#run_callbacks
    def run_callbacks(kind, *rest)
      return super unless kind == :enqueue && block_given? && s3_tenant_carried?

      before = s3_capture_leniently
      super do
        capture_s3_tenant unless s3_capture_leniently == before
        yield
      end
    end

    # @return [Object] the job's result
    def perform_now
      return s3_perform_as_found { super } unless @s3_carried

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

    # Whether the job must not be performed without its tenant.
    def s3_tenant_required? = false

    # Jobs of Active Storage use the service in their blob's row. Only the mirror job has no row. It carries
    # the service and no tenant, see {MirrorJobs}.
    def s3_tenant_carried?
      return s3_mirrors? if s3_name.start_with?("ActiveStorage::")

      EncryptedS3Service.settings.carry_tenant_in_jobs
    end

    # The class is compared by name, because an application without Active Storage does not have it.
    def s3_mirrors? = s3_name == "ActiveStorage::MirrorJob"

    def s3_name = self.class.name.to_s

    # A job without a tenant may set one itself, for example each tenant in turn. Its retry must begin like this
    # attempt, not with that tenant.
    def s3_perform_as_found
      @s3_found = s3_capture_leniently if s3_tenant_carried?
      yield
    ensure
      @s3_found = nil
    end

    # The tenant may be deleted before a file is mirrored.
    def s3_capture_leniently = s3_mirrors? ? JobContext.capture_service : JobContext.capture_leniently

    def s3_capture = s3_tenant_required? && !s3_mirrors? ? JobContext.capture : s3_capture_leniently

    def s3_without_context(error, &)
      # The callback in {Job} raises it again, before the job runs and where Active Job rescues it.
      return (@s3_failure = error) && yield if s3_tenant_required?

      ServiceSwitch.with(ServiceSwitch::Choice.new(error: error), &)
    end
  end
end
