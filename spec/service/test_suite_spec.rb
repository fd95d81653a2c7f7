# frozen_string_literal: true

require "minitest"
require_relative "../support/small_app"

# The tests of a small application, with fixtures and in parallel, as Rails' guide to Active Storage writes them.
RSpec.describe "An application's own tests, with the files in a folder" do
  around { |example| SmallApp.create { |app| (@app = app) && example.run } }

  blob = ->(service) { %(<%= ActiveStorage::FixtureSet.blob(filename: "a.txt", service_name: "#{service}") %>) }
  files = {
    "config/storage.yml" => <<~YAML,
      local: { service: Disk, root: <%= Rails.root.join("tmp/plain") %> }
      encrypted: { service: EncryptedS3, root: <%= Rails.root.join("tmp/storage") %>, encryption_key: #{"k" * 32} }
    YAML
    "config/database.yml" => "test: { adapter: sqlite3, database: tmp/test.sqlite3 }\n",
    "config/environments/test.rb" => <<~RUBY,
      require "rails/test_unit/railtie"
      Rails.application.configure { config.active_storage.service = :encrypted }
    RUBY
    "app/models/contract.rb" => "class Contract < ActiveRecord::Base\n  has_one_attached :pdf\nend\n",
    "db/migrate/1_create_all.rb" => <<~RUBY,
      require ActiveStorage::Engine.root.join("db/migrate/20170806125915_create_active_storage_tables")
      class CreateAll < ActiveRecord::Migration[7.1]
        def change
          create_table(:contracts) { |table| table.string :name }
          CreateActiveStorageTables.new.exec_migration(connection, :up)
        end
      end
    RUBY
    "test/fixtures/files/a.txt" => "a contract",
    "test/fixtures/contracts.yml" => "signed: { name: signed }\n",
    "test/fixtures/active_storage/attachments.yml" => "one: { name: pdf, record: signed (Contract), blob: pdf }\n",
    "test/fixtures/active_storage/blobs.yml" => "pdf: #{blob.call("encrypted")}\nplain: #{blob.call("local")}\n",
    "test/test_helper.rb" => <<~'RUBY',
      require_relative "../config/environment"
      require "rails/test_help"

      class ActiveSupport::TestCase
        include EncryptedS3Service::TestHelper
        parallelize(workers: 2, threshold: 1)
        parallelize_setup do |worker|
          ActiveStorage::Blob.service.root = "#{ActiveStorage::Blob.service.root}-#{worker}"
        end
        fixtures :all
      end
    RUBY
    "test/contract_test.rb" => <<~RUBY
      require "test_helper"

      class ContractTest < ActiveSupport::TestCase
        4.times do |number|
          test "number \#{number}" do
            assert_match(/storage-[01]\\z/, ActiveStorage::Blob.service.root)
            contract = Contract.create!(pdf: { io: StringIO.new("x"), filename: "a.txt" })
            assert_encrypted contract.pdf
            assert Dir.glob("\#{ActiveStorage::Blob.service.root}/**/\#{contract.pdf.key}*").any?
            assert_encrypted contracts(:signed).pdf, service: :encrypted
            assert_not_encrypted active_storage_blobs(:plain)
          end
        end
      end
    RUBY
  }

  def rails(*) = @app.rails(*, env: { "RAILS_ENV" => "test", "PARALLEL_WORKERS" => "2" })

  # Rails 7's processes end at once with Minitest 6, and their parent waits for them for ever.
  parallel = ActiveSupport.version >= Gem::Version.new("8") || Minitest.respond_to?(:run_one_method)

  it "run in parallel, each process with its own folder", if: parallel do
    files.each { |name, text| @app.write(name, text) }
    output, errors, status = rails("db:migrate")
    expect(status).to be_success, output + errors
    output, errors, status = rails("test")
    expect(status).to be_success, output + errors
    expect(output).to match(/4 runs, \d+ assertions, 0 failures, 0 errors/)
  end

  it "get an error if they set the root of a service with a bucket" do
    entry = "encrypted: { service: EncryptedS3, bucket: b, region: r, encryption_key: #{"k" * 32} }\n"
    @app.write("config/storage.yml", entry)
    code = "service = ActiveStorage::Blob.services.fetch(:encrypted); p service.root; service.root = '/tmp/x'"
    output, errors, status = @app.rails("runner", code)
    expect([output, status.exitstatus]).to eq(["nil\n", 1])
    expect(errors).to include("The service encrypted has a bucket and no folder.")
  end
end
