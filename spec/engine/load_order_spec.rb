# frozen_string_literal: true

require_relative "../spec_helper"
require_relative "../support/small_app"

# Applications load different parts of Rails, and load the gem at different times.
RSpec.describe "Loading the gem in an application" do
  let(:storage) do
    <<~YAML
      enc:
        service: EncryptedS3
        bucket: files
        region: eu-central-1
        encryption_key: #{"k" * 32}
    YAML
  end

  # @return [Array(String, Boolean)] what the code printed and said, and whether it ended well
  def run(code, env: {}, replaced: {}, files: {})
    SmallApp.create do |app|
      app.write("config/storage.yml", storage)
      files.each { |name, text| app.write(name, text) }
      text = app.read("config/application.rb")
      replaced.each { |from, to| text.include?(from) ? text = text.sub(from, to) : raise("no #{from}") }
      app.write("config/application.rb", text)
      printed, said, status = app.rails("runner", code, env: env)
      [printed + said, status.success?]
    end
  end

  fetch = "puts ActiveStorage::Blob.services.fetch(:enc).inspect"
  first = { %(require "rails"\n) => %(require "encrypted_s3_service"\nrequire "rails"\n) }
  without_storage = { %(require "active_storage/engine"\n) => "" }
  production = { "RAILS_ENV" => "production" }
  eager = { "config.eager_load = false" => "config.eager_load = true" }

  it "says what to do if the gem was loaded before Rails" do
    printed, well = run(fetch, replaced: first)
    expect(well).to be(false)
    expect(printed).to include("loaded too early, so its Rails engine is missing. Load the gem after Rails")
    expect(printed).to include(%(add `require "encrypted_s3_service/engine"` below))
  end

  it "works if the gem was loaded before Rails and its engine after it" do
    engine = { %(require "encrypted_s3_service"\n\n) => %(require "encrypted_s3_service/engine"\n\n) }
    printed, well = run(fetch, replaced: { **first, **engine })
    expect([printed, well]).to match([/EncryptedS3Service.*enc/, true])
  end

  it "says what to do if the gem was loaded after the application had booted" do
    printed, well = run("require 'encrypted_s3_service'; #{fetch}",
                        replaced: { %(require "encrypted_s3_service"\n\n) => "\n" })
    expect(well).to be(false)
    expect(printed).to include("loaded too late, so its Rails engine is missing")
  end

  it "says the same if an initializer loaded it" do
    printed, well = run(fetch, replaced: { %(require "encrypted_s3_service"\n\n) => "\n" },
                               files: { "config/initializers/files.rb" => %(require "encrypted_s3_service") })
    expect([printed, well]).to match([/loaded too late/, false])
  end

  it "works as a library in an application without Active Storage" do
    client = "puts EncryptedS3Service::Client.new(bucket: 'b', region: 'r', encryption_key: 'k' * 32).inspect"
    [[{}, {}], [production, eager]].each do |env, replaced|
      expect(run(client, env: env, replaced: { **without_storage, **replaced })).to match([/Client.*bucket="b"/, true])
    end
  end

  it "works as a library in an application with only the core of Rails" do
    bare = %w[active_record/railtie active_job/railtie action_controller/railtie active_storage/engine]
           .to_h { |name| [%(require "#{name}"\n), ""] }
    expect(run("puts EncryptedS3Service.settings.base_controller", replaced: bare)).to match([/Controller/, true])
  end

  it "serves an API without Action View, Action Mailer and Action Cable" do
    paths = "puts Rails.application.routes.url_helpers.rails_encrypted_s3_blob_path('t', 'a.txt')"
    [[{}, {}], [production, eager]].each do |env, replaced|
      api = { "config.load_defaults 7.1" => "config.load_defaults 7.1; config.api_only = true", **replaced }
      expect(run(paths, env: env, replaced: api)).to match([%r{^/rails/active_storage/encrypted_s3/t/a\.txt$}, true])
    end
  end

  it "loads no controller of Rails early" do
    code = <<~RUBY
      puts ActiveStorage.autoload?(:BaseController).inspect, ActiveStorage.autoload?(:DirectUploadsController).inspect
      puts defined?(ActionController::Base).inspect
    RUBY
    printed, well = run(code)
    expect(well).to be(true), printed
    expect(printed.lines.first(2).map(&:chomp)).to all(match(/base_controller\.rb|direct_uploads_controller\.rb/))
  end

  it "changes Active Storage's controllers each time they are loaded" do
    code = <<~RUBY
      2.times do
        puts ActiveStorage::BaseController.include?(EncryptedS3Service::Controller)
        puts ActiveStorage::DirectUploadsController < EncryptedS3Service::DirectUploads::Controller
        Rails.application.reloader.reload!
      end
    RUBY
    setting = { "config/initializers/files.rb" =>
                  "Rails.application.config.encrypted_s3_service.active_storage_concerns = true" }
    expect(run(code, files: setting)).to eq(["true\n" * 4, true])
  end

  it "loads in a production server only the code of requests, not that of tasks" do
    code = <<~RUBY
      needed = %i[Client Controller DirectUploads Job Tenant AttachmentValidator DerivedKeys BlobsController]
      puts needed.filter_map { |name| EncryptedS3Service.autoload?(name) }.inspect
      puts EncryptedS3Service::DirectUploads.autoload?(:FormHelper).inspect
      puts $LOADED_FEATURES.grep(%r{active_storage/service/encrypted_s3_service}).size
      puts %i[Doctor Migration CLI].map { |name| EncryptedS3Service.autoload?(name).nil? }.inspect
    RUBY
    printed, well = run(code, env: production, replaced: eager)
    expect([printed, well]).to eq(["[]\nnil\n1\n[false, false, false]\n", true])
  end
end
