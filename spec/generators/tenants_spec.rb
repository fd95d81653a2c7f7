# frozen_string_literal: true

require "json"
require_relative "../support/small_app"
require_relative "../support/tenant_visits"

# Run in a small application, in processes of its own, which then stores files for two tenants.
RSpec.describe "bin/rails generate encrypted_s3_service:install --tenants", patience: 300 do
  around { |example| SmallApp.create { |app| (@app = app) && example.run } }

  attr_reader :app

  key = { "ENCRYPTION_KEY" => "base64:#{["k" * 32].pack("m0")}" }
  application = {
    "config/environments/development.rb" => <<~RUBY,
      Rails.application.configure do
        config.active_storage.service = :local
        config.active_job.queue_adapter = :inline
      end
    RUBY
    "config/database.yml" => "development:\n  adapter: sqlite3\n  database: tmp/development.sqlite3\n",
    "app/models/application_record.rb" => <<~RUBY,
      class ApplicationRecord < ActiveRecord::Base
        primary_abstract_class
      end
    RUBY
    "app/controllers/application_controller.rb" => <<~RUBY,
      class ApplicationController < ActionController::Base
      end
    RUBY
    "app/jobs/application_job.rb" => <<~RUBY,
      class ApplicationJob < ActiveJob::Base
      end
    RUBY
    "db/migrate/20200101000000_create_contracts.rb" => <<~RUBY,
      class CreateContracts < ActiveRecord::Migration[7.1]
        def change = create_table(:contracts)
      end
    RUBY
    **TenantVisits::FILES
  }

  def run(*arguments, env: {}, program: "bin/rails")
    output, errors, status = app.ruby(program, *arguments, env: env)
    expect(status).to be_success, output + errors
    output
  end

  def install(*) = run("generate", "encrypted_s3_service:install", "--key=environment", "--local", *)

  before { application.each { |name, text| app.write(name, text) } }

  define_method(:migrate) do
    run("active_storage:install", env: key)
    run("db:migrate", env: key)
  end

  define_method(:expect_encryption_by_tenant) do |tenants = "Organisation"|
    went = JSON.parse(run(tenants, env: key, program: "visits.rb"), symbolize_names: true)
    expect(went.transform_values { |customer| customer[:services] })
      .to eq(TenantVisits.services(encrypting: "encrypted_amazon", plain: "local"))
    expect(went.values.map { |customer| customer[:texts] }).to all(eq(TenantVisits::TEXTS))
  end

  it "makes the application encrypt the files of some tenants, in forms, direct uploads and jobs" do
    output = install("--tenants")
    migrate
    expect_encryption_by_tenant
    expect(output).to include("find the tenant as your application does: it reads session[:organisation_id]")
    expect(output).not_to include("Could not be added")
    records = Dir[File.join(app.root, "storage/encrypted/*/*/*.json")]
    expect(records.size).to eq(3)
    bodies = records.map { |record| File.join(File.dirname(record), JSON.parse(File.read(record))["Body"]) }
    expect(bodies.map { |body| File.binread(body) }).to all(satisfy { |bytes| !bytes.include?("contract") })
  end

  it "changes nothing when it runs again" do
    install("--tenants")
    before = app.files.except("log/all.log")
    output = install("--tenants")
    expect(app.files.except("log/all.log")).to eq(before)
    expect(output).not_to match(/^ +(create|insert|gsub|append)/)
  end

  it "extends an existing model, Current and base class, and keeps their content" do
    app.write("app/models/customer.rb", "class Customer < ApplicationRecord\n  has_many :contracts # mine\nend\n")
    app.write("app/models/current.rb", "class Current < ActiveSupport::CurrentAttributes\n  attribute :user\nend\n")
    app.write("config/initializers/encrypted_s3_service.rb", "# mine\n")
    app.write("db/migrate/20200101000001_create_customers.rb", <<~RUBY)
      class CreateCustomers < ActiveRecord::Migration[7.1]
        def change = create_table(:customers)
      end
    RUBY
    install("--tenants", "Customer")
    expect(app.read("app/models/customer.rb")).to eq(<<~RUBY)
      class Customer < ApplicationRecord
        include EncryptedS3Service::Tenant
        encrypts_files_with :encrypted_amazon, if: :encrypted?
        has_many :contracts # mine
      end
    RUBY
    expect(app.read("app/models/current.rb")).to include("attribute :user\n").and include("attribute :customer\n")
    expect(app.read("config/initializers/encrypted_s3_service.rb")).to start_with("# mine\n")
    migrate
    expect_encryption_by_tenant("Customer")
    install("--tenants", "Customer")
    expect(Dir[app.path("db/migrate/*encrypted*")].size).to eq(1)
  end

  it "includes its modules after those of the class, of which one may find the user" do
    app.write("app/controllers/application_controller.rb", <<~RUBY)
      class ApplicationController < ActionController::Base
        include Authentication
        allow_browser versions: :modern
        include Pagy::Backend # pages

        def index = include?(1)
      end
    RUBY
    install("--tenants")
    expect(app.read("app/controllers/application_controller.rb").lines(chomp: true).map(&:strip)[1..5]).to eq(
      ["include Authentication", "allow_browser versions: :modern", "include Pagy::Backend # pages",
       "include FindsOrganisation", "include EncryptedS3Service::Controller"]
    )
  end

  it "lists the changes that it cannot make, with the lines to add by hand, and makes the others" do
    FileUtils.rm(app.path("app/jobs/application_job.rb"))
    app.write("app/controllers/application_controller.rb", "ApplicationController = Class.new(ActionController::API)\n")
    output = install("--tenants")
    expect(output).to include("Add to the class ApplicationJob").and include("include EncryptedS3Service::Job")
      .and include("Add to the class ApplicationController").and include("include EncryptedS3Service::Controller")
    expect(app.read("app/controllers/application_controller.rb")).not_to include("Encrypted")
    expect(app.exist?("app/jobs/application_job.rb")).to be(false)
    expect(app.read("app/models/organisation.rb")).to include("encrypts_files_with :encrypted_amazon")
  end

  it "does not change a class whose first line also ends it, or continues in the next line" do
    app.write("app/jobs/application_job.rb", "class ApplicationJob < ActiveJob::Base; end\n")
    app.write("app/models/current.rb", "class Current <\n  ActiveSupport::CurrentAttributes\nend\n")
    before = app.files
    output = install("--tenants")
    %w[app/jobs/application_job.rb app/models/current.rb].each do |file|
      expect(app.read(file)).to eq(before[file])
      expect(output).to match(/Could not be added. Add to the class \w+ \(in #{file}\):\n  \w+/)
    end
  end

  it "does not add an attribute to Current whose reader is a method of the same name" do
    current = <<~RUBY
      class Current < ActiveSupport::CurrentAttributes
        attribute :session
        delegate :user, to: :session, allow_nil: true
        delegate :name, to: :organisation, prefix: true
      end
    RUBY
    app.write("app/models/current.rb", current)
    output = install("--tenants", "User")
    expect(output).to include("Add to the class Current (instead of its method user):\n  attribute :user\n")
    expect(app.read("app/models/current.rb")).to eq(current)
    install("--tenants", "Organisation")
    expect(app.read("app/models/current.rb")).to include("attribute :organisation\n")
  end

  it "gives a new table the application's kind of primary key, in its folder of migrations" do
    app.write("config/initializers/generators.rb", <<~RUBY)
      Rails.application.config.generators { |all| all.orm :active_record, primary_key_type: :uuid }
      Rails.application.config.paths["db/migrate"] = "db/main_migrate"
    RUBY
    2.times { install("--tenants") }
    migrations = Dir[app.path("db/**/*create_organisations.rb")]
    expect(migrations.map { |file| File.dirname(file) }).to eq([app.path("db/main_migrate")])
    expect(File.read(migrations.first)).to include("create_table :organisations, id: :uuid do |t|\n")
  end

  it "refuses an invalid class name, and a missing entry, before it writes anything" do
    before = app.files.except("log/all.log")
    { %w[--tenants a/b] => "--tenants must be the name of a class",
      %w[--tenants organisation] => "--tenants must be the name of a class" }.each do |options, reason|
      output, errors, status = app.rails("generate", "encrypted_s3_service:install", *options)
      expect([status.exitstatus, output + errors]).to match([1, include(reason)])
    end
    expect(app.files.except("log/all.log")).to eq(before)
    install
    output, errors, status = app.rails("generate", "encrypted_s3_service:install", "--name", "other", "--tenants")
    expect([status.exitstatus, output + errors]).to match([1, include("but no entry other")])
    expect(app.exist?("app/models/organisation.rb")).to be(false)
  end

  it "keeps the parts for tenants when the rest is revoked" do
    install("--tenants")
    before = app.read("app/models/organisation.rb")
    run("destroy", "encrypted_s3_service:install", "--key=environment", "--local", "--tenants", env: key)
    expect(app.read("app/models/organisation.rb")).to eq(before)
    expect(app.read("config/initializers/encrypted_s3_service.rb")).to include(%(tenant = "Current.organisation"))
    expect(app.read("config/storage.yml")).not_to include("EncryptedS3")
  end

  it "writes nothing with --pretend" do
    before = app.files.except("log/all.log")
    run("generate", "encrypted_s3_service:install", "--tenants", "--pretend")
    expect(app.files.except("log/all.log")).to eq(before)
  end
end
