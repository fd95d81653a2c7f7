# frozen_string_literal: true

require "delayed_job_active_record"
require_relative "../rails_helper"
require_relative "../support/dummy_process"
require_relative "../support/plain_by_default"

# The customer is known, by the attribute that the application has named, and no method of this gem surrounds the code
# that stores a file.
RSpec.describe EncryptedS3Service::CurrentTenant do
  include_context "with an application that stores in plaintext by default"

  before { clear_enqueued_jobs }
  after { Current.reset }

  # The service of a file that a customer's code makes.
  def place_of(organisation) = Current.set(organisation: organisation) { place }

  def with_current_tenant(path)
    settings = EncryptedS3Service.settings
    before = settings.current_tenant
    settings.current_tenant = path
    yield
  ensure
    settings.current_tenant = before
  end

  it "determines the service of new files without a block" do
    expect([customer, other_customer, nil].map { |who| place_of(who) }).to eq(%w[encrypted local local])
    Current.organisation = customer
    blob = store("secret")
    expect(encrypted_in_bucket?(blob, "secret")).to be(true)
    expect([EncryptedS3Service.current_service, ActiveStorage::Blob.service.name]).to eq(%i[encrypted encrypted])
  end

  it "applies to new threads and fibers that set it, and to no others" do
    Current.organisation = customer
    encrypted = customer
    in_threads = [encrypted, other_customer, nil].map do |organisation|
      Thread.new { Current.set(organisation: organisation) { place } }.value
    end
    expect(in_threads).to eq(%w[encrypted local local])
    expect(Fiber.new { place }.resume).to eq("encrypted")
  end

  describe "is overridden by" do
    before { Current.organisation = customer }

    it "a block, also one for the application's default" do
      places = [:elsewhere, nil].map { |service| EncryptedS3Service.with_service(service) { place } }
      expect(places).to eq(%w[elsewhere local])
      expect(place).to eq("encrypted")
    end

    it "the service that a blob or an attachment names" do
      expect(ActiveStorage::Blob.new(service_name: "elsewhere").service_name).to eq("elsewhere")
      expect(Contract.create!(flyer: attachable, note: attachable)).to have_attributes(
        flyer: have_attributes(blob: have_attributes(service_name: "local")),
        note: have_attributes(blob: have_attributes(service_name: "encrypted"))
      )
    end

    it "a customer's own block, until another customer is set inside it" do
      places = other_customer.with_s3_settings do
        [place, Current.set(organisation: customer) { place }, Current.set(organisation: nil) { place }]
      end
      expect(places).to eq(%w[local encrypted local])
    end

    it "no block for a tenant of another attribute" do
      person = Class.new(Organisation) do
        def self.name = "Person"
        encrypts_files_with :elsewhere, current: "Current.person"
      end
      expect(person.new.with_s3_settings { place }).to eq("elsewhere")
    end

    def attachable = { io: StringIO.new("text"), filename: "a.txt" }
  end

  describe "and what is attached" do
    let(:plain) { store("plain") }

    it "must be on the service of the customer's files" do
      plain
      Current.organisation = customer
      contract = Contract.new(note: plain.signed_id)
      expect(contract.save).to be(false)
      expect(contract.errors.details[:note]).to eq([{ error: :stored_elsewhere }])
    end

    it "can be on any service in a block for the default, and for a customer without encryption" do
      plain
      Current.organisation = customer
      expect(EncryptedS3Service.with_service(nil) { Contract.new(note: plain.signed_id).valid? }).to be(true)
      Current.organisation = other_customer
      expect(Contract.new(note: plain.signed_id)).to be_valid
    end

    it "can name its own service" do
      Current.organisation = customer
      contract = Contract.create!(note: { io: StringIO.new("text"), filename: "a.txt", service_name: :mirrored },
                                  appendices: [{ io: StringIO.new("text"), filename: "a.txt", service_name: :local }])
      expect([contract.note, contract.appendices.first].map { |file| file.blob.service_name }).to eq(%w[mirrored local])
    end
  end

  describe "that cannot be read" do
    def expect_refusal(message)
      before = ActiveStorage::Blob.count
      expect { store }.to raise_error(EncryptedS3Service::ConfigurationError, message)
      expect { EncryptedS3Service.current_service }.to raise_error(EncryptedS3Service::ConfigurationError, message)
      expect(ActiveStorage::Blob.count).to eq(before)
    end

    it "prevents storing when its class or the attribute does not exist" do
      with_current_tenant("Nobody.organisation") { expect_refusal(/the class Nobody does not exist.*current_tenant/) }
      with_current_tenant("Current.firm") { expect_refusal(/Current has no firm.*current_tenant \(Current\.firm\)/) }
    end

    it "prevents storing when its class is not a tenant, or declares no service" do
      Current.organisation = "a string"
      expect_refusal(/String is used as a tenant but does not include EncryptedS3Service::Tenant/)
      Current.organisation = Class.new { include EncryptedS3Service::Tenant }.new
      expect_refusal(/Add encrypts_files_with/)
    end

    it "prevents storing when it names a service that does not exist" do
      Current.organisation = Class.new(Organisation) do
        def self.name = "Firm"
        encrypts_files_with :encrypted_amazn
      end.new
      expect_refusal(/:encrypted_amazn/)
    end

    # As in the application of Rails' authentication generator.
    it "prevents a block from running when it is a method that only reads" do
      session = Data.define(:user)
      stub_const("Visit", Class.new(ActiveSupport::CurrentAttributes) do
        def self.name = "Visit"
        attribute :session
        delegate :user, to: :session, allow_nil: true
      end)
      with_current_tenant("Visit.user") do
        Visit.set(session: session.new(customer)) { expect(customer.with_s3_settings { place }).to eq("encrypted") }
        expect { customer.with_s3_settings { place } }
          .to raise_error(EncryptedS3Service::ConfigurationError, /Visit\.user can only be read.*attribute :user/)
      end
    end

    it "prevents a block from running when its reader ignores what is set" do
      stub_const("Stay", Class.new(ActiveSupport::CurrentAttributes) do
        def self.name = "Stay"
        attribute :user, :session
        delegate :user, to: :session, allow_nil: true
      end)
      with_current_tenant("Stay.user") do
        Stay.session = Data.define(:user).new(other_customer)
        expect { customer.with_s3_settings { place } }
          .to raise_error(EncryptedS3Service::ConfigurationError, /Stay\.user still has another value/)
        expect(place).to eq("local")
      end
    end

    it "passes on the application's own errors" do
      stub_const("Refusing", Class.new { def self.tenant = raise(ArgumentError, "nobody is logged in") })
      with_current_tenant("Refusing.tenant") do
        expect { store }.to raise_error(ArgumentError, "nobody is logged in")
        expect(EncryptedS3Service.with_service(:encrypted) { place }).to eq("encrypted")
      end
    end
  end

  describe "in jobs" do
    let(:name) { "#{SecureRandom.hex(4)}.txt" }

    def made(name) = ActiveStorage::Blob.find_by(filename: name)&.service_name

    # A job of a gem, which knows nothing of customers.
    let(:job) do
      stub_const("GemJob", Class.new(ActiveJob::Base) do
        def perform(name) = TenantJob.make(name)
      end)
    end

    it "is carried by jobs without any include" do
      [customer, other_customer].each do |who|
        Current.set(organisation: who) { job.perform_later("#{who.name} #{name}") }
      end
      job.perform_later("nobody #{name}")
      EncryptedS3Service.with_service(:mirrored) { job.perform_later("block #{name}") }
      perform_enqueued_jobs
      places = %w[encrypted plain nobody block].map { |who| made("#{who} #{name}") }
      expect(places).to eq(%w[encrypted local local mirrored])
      expect(Current.organisation).to be_nil
    end

    it "adds nothing to a job without a customer, nor to Active Storage's own jobs" do
      Current.organisation = customer
      expect(job.new.serialize["encrypted_s3_service"]).to eq("tenant" => customer.to_global_id.to_s)
      expect(ActiveStorage::PurgeJob.new.serialize).not_to have_key("encrypted_s3_service")
      Current.organisation = nil
      expect(job.new.serialize).not_to have_key("encrypted_s3_service")
    end

    it "lets a job run whose customer is deleted, unless it stores a file" do
      mute = stub_const("MuteJob", Class.new(ActiveJob::Base) { def perform = Rails.cache })
      data = Current.set(organisation: customer) { [mute.new, job.new(name)].map(&:serialize) }
      customer.destroy!
      expect { ActiveJob::Base.execute(data.first) }.not_to raise_error
      expect { ActiveJob::Base.execute(data.last) }
        .to raise_error(EncryptedS3Service::MissingTenantError, /#{customer.to_global_id}/)
      expect(made(name)).to be_nil
    end

    it "enqueues a job although the customer cannot be read, and then refuses to store files" do
      stub_const("Refusing", Class.new { def self.tenant = raise(ArgumentError, "nobody is logged in") })
      data = with_current_tenant("Refusing.tenant") { job.new(name).serialize }
      expect { ActiveJob::Base.execute(data) }.to raise_error(EncryptedS3Service::MissingTenantError, /ArgumentError/)
      expect(made(name)).to be_nil
    end

    it "is not carried if the application switches that off" do
      EncryptedS3Service.settings.carry_tenant_in_jobs = false
      Current.set(organisation: customer) { job.perform_later(name) }
      Current.set(organisation: customer) { TenantJob.perform_later("explicit #{name}") }
      perform_enqueued_jobs
      expect([made(name), made("explicit #{name}")]).to eq(%w[local encrypted])
    ensure
      EncryptedS3Service.settings.carry_tenant_in_jobs = nil
    end

    it "is carried as its service when it is not stored yet, as at a sign-up" do
      [TenantJob, job].each_with_index do |kind, number|
        [true, false].each do |encrypted|
          Current.set(organisation: Organisation.new(name: "new", encrypted: encrypted)) do
            kind.perform_later("#{number} #{encrypted} #{name}")
          end
        end
      end
      perform_enqueued_jobs
      places = [0, 1].product([true, false]).map { |number, encrypted| made("#{number} #{encrypted} #{name}") }
      expect(places).to eq(%w[encrypted local encrypted local])
    end

    it "carries a block for the default too, although the customer's files would be encrypted" do
      Current.set(organisation: customer) { EncryptedS3Service.with_service(nil) { TenantJob.perform_later(name) } }
      perform_enqueued_jobs
      expect(made(name)).to eq("local")
    end

    it "is followed by a native job of a queue, which sets it itself" do
      native = stub_const("NativeJob", Struct.new(:id, :name) do
        def perform = Current.set(organisation: Organisation.find(id)) { TenantJob.make(name) }
      end)
      Delayed::Job.enqueue(native.new(customer.id, name))
      Delayed::Worker.new(quiet: true).work_off
      expect(made(name)).to eq("encrypted")
    ensure
      Delayed::Job.delete_all
    end
  end

  it "is followed by `rails runner`, by tasks, and inside Rails' executor" do
    printed, = DummyProcess.run(<<~RUBY)
      Current.organisation = Organisation.create!(name: "encrypted", encrypted: true)
      puts ActiveStorage::Blob.new.service_name
      require "rake"
      Rake::Task.define_task(:import) { puts ActiveStorage::Blob.new.service_name }.invoke
      Rails.application.executor.wrap do
        puts ActiveStorage::Blob.new.service_name
        Current.organisation = Organisation.last
        puts ActiveStorage::Blob.new.service_name
      end
    RUBY
    expect(printed.split).to eq(%w[encrypted encrypted local encrypted])
  end

  it "is followed if Rails isolates fibers" do
    printed, = DummyProcess.run(<<~RUBY)
      ActiveSupport::IsolatedExecutionState.isolation_level = :fiber
      Current.organisation = Organisation.create!(name: "encrypted", encrypted: true)
      puts ActiveStorage::Blob.new.service_name, Fiber.new { ActiveStorage::Blob.new.service_name }.resume
      puts Fiber.new { Current.set(organisation: Organisation.last) { ActiveStorage::Blob.new.service_name } }.resume
    RUBY
    expect(printed.split).to eq(%w[encrypted local encrypted])
  end

  # ActionController::Live without this gem's concern, in a process without Rails' test helpers.
  describe "in a stream" do
    let(:streams) do
      <<~'RUBY'
        class Streams < ActionController::Base
          include ActionController::Live
          cattr_accessor :gate, default: Queue.new

          def show
            response.stream.write("begun\n")
            gate.pop
            response.stream.write("#{ActiveStorage::Blob.new.service_name}\n")
          ensure
            response.stream.close
          end
        end

        # A middleware knows the customer.
        def stream(organisation)
          Current.organisation = organisation
          _, _, body = Streams.action(:show).call(Rack::MockRequest.env_for("/"))
          # The request is over; the action is not.
          Current.reset
          Streams.gate.push(:go)
          body.each { |line| puts line }
        end
        stream(Organisation.create!(name: "encrypted", encrypted: true))
        stream(Organisation.create!(name: "plain"))
      RUBY
    end

    it "is kept to the end, whatever happens to the request" do
      printed, = DummyProcess.run(streams)
      expect(printed.split).to eq(%w[begun encrypted begun local])
    end

    it "is handed over if Rails isolates fibers" do
      printed, = DummyProcess.run("ActiveSupport::IsolatedExecutionState.isolation_level = :fiber\n#{streams}")
      expect(printed.split).to eq(%w[begun encrypted begun local])
    end
  end
end
