# frozen_string_literal: true

require "json"
require_relative "../support/small_app"

# Active Storage loads the class of a service when the first one of its kind is used.
RSpec.describe "An application that has used no encrypted service yet" do
  around { |example| SmallApp.create { |app| (@app = app) && example.run } }

  # Run by `ruby`, without the executor that `bin/rails runner` puts around it: an application is used by requests.
  usage = <<~'RUBY'
    require_relative "config/environment"
    require ActiveStorage::Engine.root.join("db/migrate/20170806125915_create_active_storage_tables")
    require "action_dispatch/testing/integration"
    require "encrypted_s3_service/maintenance/migration"
    ActiveRecord::Migration.suppress_messages { CreateActiveStorageTables.new.migrate(:up) }
    create = ->(name) do
      ActiveStorage::Blob.create_and_upload!(io: StringIO.new("a file"), filename: "a.txt", service_name: name)
    end
    plain, mirrored = %w[local mirror].map(&create)
    browser = ActionDispatch::Integration::Session.new(Rails.application)
    paths = Rails.application.routes.url_helpers
    get = ->(path, **headers) { browser.get(path, headers: headers) && [browser.response.status, browser.response.body] }
    proxy = paths.rails_service_blob_proxy_path(plain.signed_id, plain.filename)
    token = EncryptedS3Service::Serving::Token.generate({ key: plain.key, service_name: "local" },
                                                        purpose: :encrypted_s3_blob, expires_in: 60)
    answers = { whole: get.(proxy), part: get.(proxy, Range: "bytes=0-0"), mirror: mirrored.open(&:read),
                other_kind: get.(paths.rails_encrypted_s3_blob_path(token, "a.txt")).first }
    answers[:moved] = EncryptedS3Service::Migration.new(from: :local, to: :elsewhere).run.moved
    answers[:loaded] = defined?(ActiveStorage::Service::EncryptedS3Service)
    print answers.to_json
  RUBY

  storage = <<~YAML
    local: { service: Disk, root: <%= Rails.root.join("tmp/one") %> }
    elsewhere: { service: Disk, root: <%= Rails.root.join("tmp/two") %> }
    mirror: { service: Mirror, primary: local, mirrors: [elsewhere] }
  YAML
  entry = "encrypted: { service: EncryptedS3, root: tmp/three, encryption_key: #{"k" * 32} }\n"

  { "has none" => storage, "has one" => storage + entry }.each do |what, text|
    it "serves, opens and moves unencrypted files when its storage.yml #{what}" do
      @app.write("config/storage.yml", text)
      @app.write("config/database.yml", "development: { adapter: sqlite3, database: tmp/all.sqlite3 }\n")
      setting = "config.active_storage.service = :local; config.hosts.clear; config.active_job.queue_adapter = :test"
      @app.write("config/environments/development.rb", "Rails.application.configure { #{setting} }\n")
      @app.write("usage.rb", usage)
      output, errors, status = @app.ruby("usage.rb")
      expect(status).to be_success, output + errors
      expect(JSON.parse(output)).to eq("whole" => [200, "a file"], "part" => [206, "a"], "mirror" => "a file",
                                       "other_kind" => 404, "moved" => 1, "loaded" => nil)
    end
  end
end
