# frozen_string_literal: true

ENV["RAILS_ENV"] = "production"

require "fileutils"
require "rails"
require "active_job/railtie"
require "active_record/railtie"
require_relative "../../spec/support/untrusted_images"
require "active_storage/engine"
require "action_controller/railtie"
require_relative "../contenders"

module Bench
  # A minimal Rails application that stores files, in production mode.
  class Application < Rails::Application
    DATABASE = <<~YAML
      production:
        adapter: sqlite3
        database: bench.sqlite3
        pool: 16
        timeout: 20000
    YAML
    private_constant :DATABASE

    # Starts the application with one service.
    # @param folder [String] for its files
    # @param configuration [Hash] the entry of the service in storage.yml
    # @return [ActiveStorage::Service]
    def self.boot(folder, configuration)
      config.root = folder
      FileUtils.mkdir_p(File.join(folder, "config"))
      File.write(File.join(folder, "config", "database.yml"), DATABASE)
      config.active_storage.service_configurations = entries(configuration.transform_keys(&:to_s))
      initialize!
      ActiveStorage::Blob.service
    end

    # @return [Hash{String => Hash}] the service, and the same with SHA-256 checksums if this Rails supports them
    def self.entries(entry)
      asks = ActiveStorage::Service.method_defined?(:compute_checksum)
      sha256 = { "bench_sha256" => { **entry, "default_digest_type" => "sha256" } }
      { "bench" => entry, **(asks ? sha256 : {}) }
    end
    private_class_method :entries

    config.load_defaults "#{Rails::VERSION::MAJOR}.#{Rails::VERSION::MINOR}"
    config.eager_load = true
    config.enable_reloading = false
    config.secret_key_base = "0" * 64
    config.hosts.clear
    config.logger = Logger.new(nil)
    config.log_level = :info
    config.active_storage.service = :bench
    config.active_job.queue_adapter = :inline
    config.default_url_options = { host: "127.0.0.1" }
  end
end
