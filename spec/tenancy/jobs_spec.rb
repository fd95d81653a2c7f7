# frozen_string_literal: true

require "delayed_job_active_record"
require_relative "../rails_helper"
require_relative "../support/dummy_process"
require_relative "../support/plain_by_default"

RSpec.describe EncryptedS3Service::Job do
  include_context "with an application that stores in plaintext by default"

  let(:name) { "#{SecureRandom.hex(4)}.txt" }

  before { clear_enqueued_jobs }

  after do
    Current.reset
    TenantJob.queue_adapter = ActiveJob::Base.queue_adapter
  end

  # Up to Rails 7.1 the adapter of the tests goes before that of a class.
  def use_queue(adapter)
    TenantJob.disable_test_adapter if TenantJob.respond_to?(:disable_test_adapter)
    TenantJob.queue_adapter = adapter
  end

  # The service and the customer of a job's file.
  def made(name)
    blob = ActiveStorage::Blob.find_by(filename: name)
    blob && [blob.service_name, blob.metadata.dig("custom", "tenant")]
  end

  # The data of a job in a queue.
  def data_of(job) = JSON.parse(job.serialize.to_json)

  def execute(data) = ActiveJob::Base.execute(data)

  it "runs for the customer for whom it was enqueued" do
    [customer, other_customer].each do |organisation|
      organisation.with_s3_settings { TenantJob.perform_later("#{organisation.name} #{name}") }
    end
    perform_enqueued_jobs
    expect([made("encrypted #{name}"), made("plain #{name}")]).to eq([%w[encrypted encrypted], %w[local plain]])
    expect([place, Current.organisation]).to eq(["local", nil])
  end

  it "stores its files in the customer's service" do
    customer.with_s3_settings { TenantJob.perform_later(name) }
    perform_enqueued_jobs
    expect(encrypted_in_bucket?(ActiveStorage::Blob.find_by!(filename: name), "made by #{name}")).to be(true)
  end

  it "carries the service if there is no customer, and a service that overrides the customer's" do
    EncryptedS3Service.with_service(:encrypted) { TenantJob.perform_later(name) }
    other_customer.with_s3_settings do
      EncryptedS3Service.with_service(:mirrored) { TenantJob.perform_later("top #{name}") }
    end
    perform_enqueued_jobs
    expect([made(name), made("top #{name}")]).to eq([["encrypted", nil], %w[mirrored plain]])
  end

  it "puts only the customer's id into the queue, and nothing else of the request" do
    Current.person = "somebody"
    data = customer.with_s3_settings { data_of(TenantJob.new(name)) }
    expect(data["encrypted_s3_service"]).to eq("tenant" => customer.to_global_id.to_s)
    expect(data.to_s).not_to include("somebody")
  end

  it "keeps the customer of the time when it was enqueued, even if it is sent after the transaction" do
    job = TenantJob.new(name)
    customer.with_s3_settings { job.enqueue }
    expect(data_of(job)["encrypted_s3_service"]).to eq("tenant" => customer.to_global_id.to_s)
    other_customer.with_s3_settings { job.enqueue }
    expect(data_of(job)["encrypted_s3_service"]).to eq("tenant" => other_customer.to_global_id.to_s)
  end

  it "keeps it when several jobs are enqueued in bulk and sent after the transaction" do
    job = stub_const("DeferredJob", Class.new(TenantJob) do
      self.enqueue_after_transaction_commit = true if respond_to?(:enqueue_after_transaction_commit=)
    end)
    Organisation.transaction do
      customer.with_s3_settings { ActiveJob.perform_all_later(job.new("one #{name}"), [job.new("two #{name}")]) }
    end
    perform_enqueued_jobs
    expect([made("one #{name}"), made("two #{name}")]).to eq([%w[encrypted encrypted]] * 2)
  end

  it "uses the customer's settings at the time when it runs" do
    other_customer.with_s3_settings { TenantJob.perform_later(name) }
    other_customer.update!(encrypted: true)
    perform_enqueued_jobs
    expect(made(name)).to eq(%w[encrypted plain])
  end

  it "keeps its customer when it is retried" do
    perform_enqueued_jobs { customer.with_s3_settings { TenantJob.perform_later(name, fail_first: true) } }
    expect(made(name)).to eq(%w[encrypted encrypted])
  end

  it "has no customer in a retry if it had none and has set one itself" do
    [TenantJob, ActiveJob::Base].each do |base|
      organisation = customer
      job = stub_const("WanderingJob", Class.new(base) do
        retry_on TenantJob::Hiccup, wait: 0
        define_method(:perform) do |name|
          TenantJob.make(name)
          Current.organisation = organisation
          raise TenantJob::Hiccup if executions == 1
        end
      end)
      execute(data_of(job.new("#{base} #{name}")))
      expect(enqueued_jobs.last["encrypted_s3_service"].to_h).to eq({})
      execute(enqueued_jobs.last.except(:job, :args, :queue))
      expect(ActiveStorage::Blob.where(filename: "#{base} #{name}").pluck(:service_name)).to eq(%w[local local])
    end
  end

  it "has the customer that a callback around its enqueueing sets, also after the transaction" do
    organisation = customer
    stub_const("SettingJob", Class.new(TenantJob) do
      around_enqueue { |_, enqueue| organisation.with_s3_settings(&enqueue) }
    end)
    other_customer.with_s3_settings { Document.transaction { SettingJob.perform_later(name) } }
    perform_enqueued_jobs
    expect(made(name)).to eq(%w[encrypted encrypted])
  end

  it "can set a customer itself if it was enqueued for a new one without encryption" do
    organisation = customer
    stub_const("SigningUpJob", Class.new(TenantJob) do
      before_perform { Current.organisation = organisation }
    end)
    Organisation.new.with_s3_settings { SigningUpJob.perform_later(name) }
    perform_enqueued_jobs
    expect(made(name)).to eq(%w[encrypted encrypted])
    Organisation.new.with_s3_settings do
      EncryptedS3Service.with_service(nil) { SigningUpJob.perform_later("default #{name}") }
    end
    perform_enqueued_jobs
    expect(made("default #{name}")&.first).to eq("local")
  end

  it "looks up no record when a dashboard deserializes it" do
    data = customer.with_s3_settings { data_of(TenantJob.new(name)) }
    customer.destroy!
    expect(ActiveJob::Base.deserialize(data)).to be_a(TenantJob)
  end

  it "restores the former choice after it ran inline inside another customer's block" do
    use_queue(:inline)
    data = customer.with_s3_settings { data_of(TenantJob.new(name, nested: "nested #{name}")) }
    other_customer.with_s3_settings do
      execute(data)
      expect(EncryptedS3Service.current_service).to be_nil
    end
    expect([made(name), made("nested #{name}")]).to eq([%w[encrypted encrypted]] * 2)
    customer.with_s3_settings do
      TenantJob.perform_later("inline #{name}")
      expect(place).to eq("encrypted")
    end
    expect(made("inline #{name}")).to eq(%w[encrypted encrypted])
  end

  it "keeps its caller's choice when it is performed without a queue" do
    customer.with_s3_settings { TenantJob.perform_now(name) }
    expect(made(name)).to eq(%w[encrypted encrypted])
  end

  it "runs jobs that were enqueued before the concern was included" do
    execute(data_of(TenantJob.new(name)).except("encrypted_s3_service"))
    expect(made(name)).to eq(["local", nil])
  end

  it "is refused when the customer's class declares no service" do
    Current.organisation = "a string"
    expect { TenantJob.perform_later(name) }.to raise_error(EncryptedS3Service::ConfigurationError, /String/)
  end

  describe "without its customer" do
    let(:orphan) { customer.with_s3_settings { data_of(TenantJob.new(name)) }.tap { customer.destroy! } }

    it "does not run, and names the customer" do
      gid = customer.to_global_id.to_s
      expect { execute(orphan) }.to raise_error(EncryptedS3Service::MissingTenantError, /#{gid}/)
      expect(made(name)).to be_nil
      expect([place, Current.organisation]).to eq(["local", nil])
    end

    it "is not enqueued for the default by a job that runs without its customer" do
      [TenantJob, ActiveJob::Base].each do |base|
        stub_const("NestedJob", Class.new(base) { def perform(name) = TenantJob.make(name) })
        stub_const("GemsJob", Class.new(ActiveJob::Base) { def perform(name) = NestedJob.perform_later(name) })
        gone = Organisation.create!(encrypted: true)
        data = gone.with_s3_settings { data_of(GemsJob.new(name)) }
        gone.destroy!
        execute(data)
        expect { execute(enqueued_jobs.last.except(:job, :args, :queue)) }
          .to raise_error(EncryptedS3Service::MissingTenantError, /unknown because/)
      end
      expect(made(name)).to be_nil
    end

    it "is discarded if its class says so" do
      discarding = stub_const("DiscardingJob", Class.new(TenantJob) do
        discard_on EncryptedS3Service::MissingTenantError
      end)
      expect { execute(orphan.merge("job_class" => discarding.name)) }.not_to raise_error
      expect(made(name)).to be_nil
    end

    it "is retried if its class says so, still for that customer" do
      patient = stub_const("PatientJob", Class.new(TenantJob) do
        retry_on EncryptedS3Service::MissingTenantError, wait: 1.minute
      end)
      execute(orphan.merge("job_class" => patient.name))
      expect(enqueued_jobs.last["encrypted_s3_service"]).to eq("tenant" => customer.to_global_id.to_s)
      expect(made(name)).to be_nil
    end
  end

  it "does not run when its service no longer exists" do
    data = data_of(TenantJob.new(name)).merge("encrypted_s3_service" => { "service" => "gone" })
    expect { execute(data) }.to raise_error(EncryptedS3Service::ConfigurationError, /:gone/)
    expect(made(name)).to be_nil
  end

  it "keeps customers apart in the threads of the async adapter" do
    use_queue(adapter = ActiveJob::QueueAdapters::AsyncAdapter.new(max_threads: 4))
    names = Array.new(40) do |number|
      organisation = [customer, other_customer][number % 2]
      "#{organisation.name} #{number} #{name}".tap do |file|
        organisation.with_s3_settings { TenantJob.perform_later(file) }
      end
    end
    adapter.shutdown
    expect(names.map { |file| made(file) }).to eq([%w[encrypted encrypted], %w[local plain]] * 20)
  end

  it "works in the worker of a real queue, which is another process" do
    use_queue(:delayed_job)
    [customer, other_customer].each do |organisation|
      organisation.with_s3_settings { TenantJob.perform_later("#{organisation.name} #{name}", fail_first: true) }
    end
    EncryptedS3Service.with_service(:encrypted) { TenantJob.perform_later("nobody #{name}") }
    leaver = Organisation.create!(name: "leaver", encrypted: true)
    leaver.with_s3_settings { TenantJob.perform_later("leaver #{name}") }
    leaver.destroy!
    printed, status = DummyProcess.run(<<~RUBY)
      require "delayed_job_active_record"
      ActiveJob::Base.queue_adapter = :delayed_job
      worker = Delayed::Worker.new(quiet: true)
      2.times { worker.work_off }
    RUBY
    expect([printed, status.success?]).to eq(["", true])
    expect(%w[encrypted plain nobody leaver].map { |who| made("#{who} #{name}") })
      .to eq([%w[encrypted encrypted], %w[local plain], ["encrypted", nil], nil])
    expect(Delayed::Job.pluck(:last_error)).to match([/Organisation.*does not exist/])
  ensure
    Delayed::Job.delete_all
  end

  describe "Active Storage's own jobs, which have no customer" do
    let(:png) { "\x89PNG\r\n\x1A\n".b }
    let(:pixel) do
      "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==".unpack1("m")
    end

    def attach(data, filename, type)
      customer.with_s3_settings do
        Contract.create!(note: { io: StringIO.new(data), filename: filename, content_type: type }).note.blob
      end
    end

    it "analyze and purge a customer's file on its service, with another default" do
      blob = attach(png, "a.png", "image/png")
      perform_enqueued_jobs(only: ActiveStorage::AnalyzeJob)
      expect(blob.reload).to be_analyzed
      Contract.last.note.purge_later
      perform_enqueued_jobs(only: ActiveStorage::PurgeJob)
      expect(server.head(bucket, blob.key)[0]).to eq(404)
      expect(ActiveStorage::Blob).not_to exist(blob.id)
    end

    # Rails 8.2 makes previews in a job of another name.
    def preview_later(blob)
      if defined?(ActiveStorage::CreateVariantsJob)
        ActiveStorage::CreateVariantsJob.perform_later(blob, variants: [], process: :later)
      else
        ActiveStorage::PreviewImageJob.perform_later(blob, [])
      end
    end

    it "store a preview on the service of its file" do
      blob = attach(minimal_pdf, "a.pdf", "application/pdf")
      job = other_customer.with_s3_settings { preview_later(blob) }
      perform_enqueued_jobs(only: job.class)
      preview = blob.reload.preview_image.blob
      expect(preview.service_name).to eq("encrypted")
      expect(preview.download).to start_with(png)
      expect(stored(preview.key).last).not_to start_with(png)
    end

    it "store a preview there even if a previewer does not pass on its options" do
      blobs = [attach(minimal_pdf, "a.pdf", "application/pdf"), store(minimal_pdf)]
      places = blobs.map do |blob|
        blob.preview_image.attach(io: StringIO.new(png), filename: "a.png")
        blob.preview_image.blob.service_name
      end
      expect(places).to eq(%w[encrypted local])
    end

    it "store a variant on the service of its file" do
      blob = attach(pixel, "a.png", "image/png")
      other_customer.with_s3_settings { ActiveStorage::TransformJob.perform_later(blob, resize_to_limit: [1, 1]) }
      perform_enqueued_jobs(only: ActiveStorage::TransformJob)
      variant = blob.variant(resize_to_limit: [1, 1])
      expect([server.head(bucket, variant.key)[0], variant.download]).to match([200, start_with(png)])
      expect(stored(variant.key).last).not_to start_with(png)
    end

    it "mirror a file whose customer is deleted, or was unknown, when the job runs" do
      blobs = [other_customer, customer].map do |organisation|
        organisation.with_s3_settings do
          EncryptedS3Service.with_service(:mirrored) { store("of #{organisation.name}") }
        end
      end
      other_customer.destroy!
      Current.organisation = "no record"
      blobs << EncryptedS3Service.with_service(:mirrored) { store("of nobody") }
      Current.reset
      perform_enqueued_jobs(only: ActiveStorage::MirrorJob)
      local = ActiveStorage::Blob.services.fetch(:local)
      expect(blobs.map { |blob| local.download(blob.key) }).to eq(["of plain", "of encrypted", "of nobody"])
    end

    def minimal_pdf
      "%PDF-1.1\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n" \
        "3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
    end
  end
end
