# frozen_string_literal: true

require "bundler/setup"
require "rails"
require "active_model/railtie"
require "active_job/railtie"
require "active_record/railtie"
require_relative "../../support/patient_sqlite"
require_relative "../../support/active_storage_javascript"
require_relative "../../support/untrusted_images"
require "active_storage/engine"
require "action_controller/railtie"
require "action_view/railtie"
require "action_text/engine"
require "encrypted_s3_service"
# Bundler loads the gem after Rails; the specs have loaded it before.
require "encrypted_s3_service/engine"

module Dummy
  # The smallest application that stores files.
  class Application < Rails::Application
    config.root = File.expand_path("..", __dir__)
    config.load_defaults "#{Rails::VERSION::MAJOR}.#{Rails::VERSION::MINOR}"
    config.eager_load = true
    config.secret_key_base = "0" * 64
    config.hosts.clear
    config.active_storage.service = :encrypted
    # The default, as a number.
    config.active_storage.service_urls_expire_in = 300
    config.active_storage.resolve_model_to_route = :rails_storage_proxy
    guard = ENV.fetch("DUMMY_BASE_CONTROLLER", nil)
    config.encrypted_s3_service.base_controller = guard if guard
    config.active_job.queue_adapter = :test if Rails.env.test?
    # Rails 8.1 has no other behaviour, and deprecates the setting; 8.0 deprecates every other value.
    config.active_support.to_time_preserves_timezone = :zone if Rails.gem_version < Gem::Version.new("8.1")
  end
end
