# frozen_string_literal: true

require "active_support"
require "active_support/encrypted_configuration"
require "fileutils"
require "open3"
require "rbconfig"
require "tmpdir"

# A small Rails application in its own folder, with the same storage files as after `rails new`. Its commands run in
# their own processes.
class SmallApp
  LIBRARY = File.expand_path("../../lib", __dir__)
  GEMFILE = ENV.fetch("BUNDLE_GEMFILE") { File.expand_path("../../Gemfile", __dir__) }

  FILES = {
    "bin/rails" => <<~RUBY,
      APP_PATH = File.expand_path("../config/application", __dir__)
      require_relative "../config/boot"
      require "rails/commands"
    RUBY
    "config/boot.rb" => <<~RUBY,
      require "bundler/setup"
    RUBY
    "config/application.rb" => <<~RUBY,
      require #{File.expand_path("untrusted_images", __dir__).inspect}
      require_relative "boot"
      require "rails"
      require "active_record/railtie"
      require "active_job/railtie"
      require "action_controller/railtie"
      require "active_storage/engine"
      require "encrypted_s3_service"

      module SmallApp
        class Application < Rails::Application
          config.root = File.expand_path("..", __dir__)
          config.load_defaults 7.1
          # Rails 8.0 warns about the old default. Later versions do not have the setting.
          config.active_support.to_time_preserves_timezone = :zone if Rails.gem_version < Gem::Version.new("8.1")
          config.eager_load = false
          config.secret_key_base = "0" * 64
          config.logger = Logger.new(config.root.join("log/all.log"))
          config.log_level = :debug
        end
      end
    RUBY
    "config/environment.rb" => <<~RUBY,
      require_relative "application"
      Rails.application.initialize!
    RUBY
    "config/database.yml" => <<~YAML,
      development: &all
        adapter: sqlite3
        database: ":memory:"
      test: *all
      production: *all
    YAML
    "config/storage.yml" => <<~YAML,
      test:
        service: Disk
        root: <%= Rails.root.join("tmp/storage") %>

      local:
        service: Disk
        root: <%= Rails.root.join("storage") %>

      # Use bin/rails credentials:edit to set the AWS secrets (as aws:access_key_id|secret_access_key)
      # amazon:
      #   service: S3
    YAML
    "Rakefile" => <<~RUBY
      require_relative "config/application"
      Rails.application.load_tasks
    RUBY
  }.freeze

  # @yieldparam app [SmallApp] removed after the block
  def self.create
    Dir.mktmpdir("small-app-") { |root| yield new(root) }
  end

  attr_reader :root

  def initialize(root)
    @root = root
    %w[log tmp config/initializers].each { |folder| FileUtils.mkdir_p(path(folder)) }
    FILES.each { |name, text| write(name, text) }
  end

  def path(name) = File.join(root, name)

  def write(name, text)
    FileUtils.mkdir_p(File.dirname(path(name)))
    File.write(path(name), text)
  end

  def read(name) = File.read(path(name))

  def exist?(name) = File.exist?(path(name))

  # @return [Hash{String => String}] content of every file by its path
  def files
    Dir.glob("**/*", File::FNM_DOTMATCH, base: root).select { |name| File.file?(path(name)) }
       .to_h { |name| [name, File.binread(path(name))] }
  end

  # Writes encrypted credentials and their key.
  # @param text [String] decrypted
  def credentials=(text)
    write("config/master.key", ActiveSupport::EncryptedFile.generate_key)
    encrypted.write(text)
  end

  # @return [String] the decrypted text
  def credentials = encrypted.read.force_encoding(Encoding::UTF_8)

  # Runs `bin/rails`.
  # @return [Array(String, String, Process::Status)] output, error output, exit status
  def rails(*arguments, **) = ruby("bin/rails", *arguments, **)

  # Runs a program of the application.
  # @return [Array(String, String, Process::Status)] output, error output, exit status
  def ruby(program, *arguments, env: {})
    unset = { "RAILS_ENV" => nil, "RAILS_MASTER_KEY" => nil, "ENCRYPTION_KEY" => nil, "AWS_REGION" => nil }
    Open3.capture3({ **unset, "BUNDLE_GEMFILE" => GEMFILE, **env },
                   RbConfig.ruby, "-I", LIBRARY, program, *arguments, chdir: root)
  end

  private

  def encrypted
    ActiveSupport::EncryptedConfiguration.new(config_path: path("config/credentials.yml.enc"),
                                              key_path: path("config/master.key"), env_key: "NONE",
                                              raise_if_missing_key: true)
  end
end
