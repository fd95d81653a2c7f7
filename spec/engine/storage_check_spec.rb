# frozen_string_literal: true

require_relative "../spec_helper"
require_relative "../support/small_app"

# config/storage.yml is checked when the application boots, not when the first file is uploaded.
RSpec.describe "Booting with an EncryptedS3 entry in config/storage.yml" do
  plain = "local:\n  service: Disk\n  root: /tmp/none\n"
  # A model that names a service, which Rails then builds when it loads the model.
  model = <<~RUBY
    class ApplicationRecord < ActiveRecord::Base
      self.abstract_class = true
    end
    class Contract < ApplicationRecord
      has_one_attached :scan, service: :enc
    end
  RUBY
  without_key = { "encryption_key" => nil }

  # @param settings [Hash, String] of the entry `enc`, beside the least that it needs; or the whole file
  # @param run [Array<String>] a command of bin/rails
  # @return [Array(String, Boolean)] what was printed, said and logged, and whether the command ended well
  def boot(settings, run: ["runner", "puts 'booted'"], env: {}, eager: false, files: {})
    SmallApp.create do |app|
      app.write("config/storage.yml", settings.is_a?(Hash) ? storage(settings) : settings)
      files.each { |name, text| app.write(name, text) }
      text = app.read("config/application.rb")
      app.write("config/application.rb", text.sub("eager_load = false", "eager_load = #{eager}"))
      printed, said, status = app.rails(*run, env: { "CI" => nil, "SECRET_KEY_BASE_DUMMY" => nil, **env })
      [printed + said + app.read("log/all.log"), status.success?]
    end
  end

  def storage(settings)
    least = { "service" => "EncryptedS3", "bucket" => "files", "region" => "eu-west-1", "encryption_key" => "k" * 32 }
    { "enc" => { **least, **settings } }.to_yaml
  end

  production = { "RAILS_ENV" => "production" }

  environments = [{ "RAILS_ENV" => nil }, { "RAILS_ENV" => "test" }, production].cycle
  {
    { "buckett" => "x" } => /`enc` of config.storage.yml is wrong: buckett is not a setting.*mean bucket\?/,
    { "encryption_key" => "short" } => /`enc` of config.storage.yml is wrong: encryption_key must be exactly 32/,
    { "upload" => { "part_sise" => 1 } } => /upload\.part_sise is not a setting/,
    { "endpoint" => "files.example.com" } => /endpoint must be a URL/,
    { "retry_limit" => -1 } => /retry_limit must be from 0/,
    { "service" => "encrypted_s3", "regoin" => "x" } => /regoin is not a setting/
  }.each do |settings, message|
    env = environments.next
    it "stops at #{settings.keys.last}, although nothing uses the service yet (#{env.values.first})" do
      said, well = boot(settings, env: env)
      expect([said, well]).to match([message, false])
      expect(said).not_to include("booted")
    end
  end

  it "checks every entry, not only the first" do
    text = storage({}) + storage("buckett" => "x").sub("---\nenc:", "other:")
    expect(boot(text)).to match([/`other` of config.storage.yml is wrong: buckett/, false])
  end

  it "names the entry also if the classes of the application are loaded at boot" do
    files = { "app/models/contract.rb" => model }
    expect(boot({ "buckett" => "x" }, env: production, eager: true, files: files))
      .to match([/The service `enc` of config.storage.yml is wrong: buckett/, false])
  end

  it "names the environment's own file where there is one" do
    files = { "config/storage/production.yml" => storage("buckett" => "x") }
    expect(boot({}, env: production, files: files))
      .to match([%r{`enc` of config/storage/production.yml is wrong: buckett}, false])

    files = { "config/storage/production.yml" => storage({}),
              "config/initializers/storage.rb" => "Rails.application.config.encrypted_s3_service.tenant_keys = " \
                                                  "{ other: ->(_tenant) { 'k' * 32 } }" }
    expect(boot({}, env: production, files: files))
      .to match([%r{`other`, which is not in config/storage/production.yml}, false])
  end

  it "evaluates the file once, and leaves it to Active Storage" do
    text = "#{storage({})}<% File.write(Rails.root.join('log/times'), 'x', mode: 'a') %>\n"
    code = "puts ActiveStorage::Blob.services.fetch(:enc).name, Rails.root.join('log/times').read"
    expect(boot(text, run: ["runner", code])).to match([/^enc\nx$/, true])
  end

  it "boots with entries of other services, and without the file" do
    expect(boot(plain)).to match([/booted/, true])
    files = { "config/boot.rb" => "require 'bundler/setup'\nFile.delete('config/storage.yml')" }
    expect(boot({}, files: files)).to match([/booted/, true])
  end

  describe "with missing secrets" do
    lacking = [without_key, { "bucket" => nil }, { "access_key_id" => "a" }].cycle
    use = "ActiveStorage::Blob.services.fetch(:enc).download('a')"

    it "stops a production process, which could store no file" do
      expect(boot(without_key, env: production))
        .to match([/`enc` of config.storage.yml is wrong: encryption_key is missing\. Make one/, false])
      expect(boot({ "access_key_id" => "a" }, env: production)).to match([/secret_access_key is missing/, false])
      expect(boot({ "bucket" => "" }, env: production)).to match([/bucket is missing/, false])
    end

    {
      "SECRET_KEY_BASE_DUMMY" => [{ "RAILS_ENV" => "production", "SECRET_KEY_BASE_DUMMY" => "1" }, false],
      "CI" => [{ "RAILS_ENV" => "production", "CI" => "true" }, true],
      "the environment is test" => [{ "RAILS_ENV" => "test" }, true],
      "the environment is development" => [{ "RAILS_ENV" => "development" }, false]
    }.each do |reason, (env, eager)|
      settings = lacking.next
      missing = settings.keys.last.sub("access_key_id", "secret_access_key")
      it "boots without #{missing} (#{reason}), logs it, and raises on first use" do
        files = { "app/models/contract.rb" => model }
        said, well = boot(settings, env: env, eager: eager, files: files, run: ["runner", "puts 'booted'; #{use}"])
        expect([said, well]).to match([/^booted$/, false])
        expect(said).to match(/`enc` of config.storage.yml cannot be used: #{missing} is missing.*because #{reason}/)
        expect(said).to match(/#{missing} is missing.*ConfigurationError/)
      end
    end

    it "loads classes that name the service if SECRET_KEY_BASE_DUMMY is set and the key is a placeholder" do
      files = { "app/models/contract.rb" => model }
      [{ "encryption_key" => "dummy" }, { "decryption_keys" => ["dummy"] }].each do |settings|
        said, well = boot(settings, env: { **production, "SECRET_KEY_BASE_DUMMY" => "1" }, eager: true, files: files,
                                    run: ["runner", "puts 'booted'; #{use}"])
        expect([said, well]).to match([/^booted$/, false])
        expect(said).to match(/must be exactly.*32 bytes, not 5.*ConfigurationError/)
      end
    end

    it "recognizes CI by any value of the variable except a negative one" do
      expect(boot(without_key, env: { **production, "CI" => "woodpecker" })).to match([/because CI is set/, true])
      expect(boot(without_key, env: { **production, "CI" => "false" })).to match([/encryption_key is missing/, false])
    end

    it "treats empty templates of a secret and a file that is not mounted as missing" do
      [{ "encryption_key" => "base64:" }, { "encryption_key" => "file:/run/secrets/none" }].each do |settings|
        expect(boot(settings)).to match([/`enc` of config.storage.yml cannot be used: encryption_key/, true])
        expect(boot(settings, env: production)).to match([/`enc` of config.storage.yml is wrong: encryption/, false])
      end
    end

    rakefile = <<~RUBY
      require_relative "config/application"
      Rails.application.load_tasks
      namespace :assets do
        task(precompile: :environment) { puts "precompiled" }
      end
    RUBY

    it "builds an image of a production application: without credentials, with placeholders, with ENV.fetch" do
      files = { "Rakefile" => rakefile }
      fetching = "enc:\n  service: EncryptedS3\n  encryption_key: <%= ENV.fetch('NONE_THERE') %>\n"
      [without_key, { "encryption_key" => "dummy" }, { "access_key_id" => "x", "encryption_key" => "placeholder" },
       { "ssl_ca_bundle" => "/none/ca.pem" }, fetching].each do |settings|
        said, well = boot(settings, run: ["assets:precompile"], env: production, files: files)
        expect([said, well]).to match([/^precompiled$/, true])
      end
    end

    it "stops the build of an image for other errors" do
      [production, { **production, "SECRET_KEY_BASE_DUMMY" => "1" }].each do |env|
        expect(boot({ "buckett" => "x", "encryption_key" => "dummy" }, run: ["assets:precompile"], env: env,
                                                                       files: { "Rakefile" => rakefile }))
          .to match([/`enc` of config.storage.yml is wrong/, false])
      end
    end
  end

  describe "with settings that name missing objects" do
    eagerness = [false, true].cycle
    {
      "base_controller = 'ApplicationControler'" => /base_controller names `ApplicationControler`, which does not/,
      "active_storage_concerns = %w[Nothing::There]" => /concerns names `Nothing::There`, which does not/,
      "current_tenant = 'Curent.organisation'" => /current_tenant names `Curent`, which does not exist/,
      "tenant_keys = { encc: {} }" => /tenant_keys names the service `encc`, which is not in .*yml. The file has enc/,
      "direct_upload_services = %i[amazon]" => /direct_upload_services names the service `amazon`/
    }.each do |line, message|
      eager = eagerness.next
      it "stops at #{line}#{" before classes are loaded eagerly" if eager}" do
        files = { "config/initializers/files.rb" => "Rails.application.config.encrypted_s3_service.#{line}" }
        expect(boot({}, files: files, eager: eager)).to match([message, false])
      end
    end

    {
      "base_controller = 'ApplicationRecord'" => /base_controller names `ApplicationRecord`, which is not a controller/,
      "active_storage_concerns = 'ApplicationRecord'" => /names `ApplicationRecord`, which is a class and not a module/,
      "current_tenant = 'Current.tenant'" => /`Current` has no attribute `tenant` to read and set/
    }.each do |line, message|
      it "stops at #{line} if all classes are loaded" do
        current = "class Current < ActiveSupport::CurrentAttributes\n  attribute :organisation\nend"
        files = { "config/initializers/files.rb" => "Rails.application.config.encrypted_s3_service.#{line}",
                  "app/models/application_record.rb" => "class ApplicationRecord < ActiveRecord::Base\nend",
                  "app/models/current.rb" => current }
        expect(boot({}, files: files, eager: true, env: production)).to match([message, false])
        right = line.sub("Current.tenant", "Current.organisation")
        next if right == line

        files["config/initializers/files.rb"].sub!(line, right)
        expect(boot({}, files: files, eager: true, env: production)).to match([/booted/, true])
      end
    end

    it "loads no class for the check" do
      files = { "config/initializers/files.rb" => <<~RUBY, "app/models/current.rb" => "raise 'loaded'" }
        Rails.application.config.encrypted_s3_service.current_tenant = "Current.organisation"
        Rails.application.config.encrypted_s3_service.base_controller = "ActionController::Base"
      RUBY
      expect(boot({}, files: files)).to match([/booted/, true])
    end
  end
end
