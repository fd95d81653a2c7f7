# frozen_string_literal: true

require "bundler/setup"
require "rails"
require "active_model/railtie"
require "active_job/railtie"
require "active_record/railtie"
require_relative "../../../spec/support/patient_sqlite"
require_relative "../../../spec/support/active_storage_javascript"
require_relative "../../../spec/support/untrusted_images"
require "active_storage/engine"
require "action_controller/railtie"
require "action_view/railtie"
require "encrypted_s3_service"

module DemoApp
  # A page to upload files, which are stored encrypted or not, depending on the customer.
  class Application < Rails::Application
    config.root = File.expand_path("..", __dir__)
    config.load_defaults 7.1
    config.eager_load = true
    config.enable_reloading = false
    config.consider_all_requests_local = true
    config.secret_key_base = ENV["SECRET_KEY_BASE"] || SecureRandom.hex(64)
    config.log_level = :info
    config.paths.add "log", with: ENV.fetch("DEMO_LOG", "log/#{Rails.env}.log")

    # Customers with encryption have another service: app/models/organisation.rb.
    config.active_storage.service = :amazon
    # Shown in the browser, like pictures and PDFs.
    config.active_storage.content_types_allowed_inline += %w[video/mp4 video/webm audio/mpeg audio/ogg text/plain]
    # Active Storage's jobs run immediately, so that a deleted file is removed from the bucket when the page says so.
    config.active_job.queue_adapter = :inline

    config.content_security_policy do |policy|
      policy.default_src :none
      policy.script_src :self
      policy.style_src :self
      policy.img_src :self
      policy.media_src :self
      policy.connect_src :self
      policy.form_action :self
      policy.base_uri :none
      policy.frame_ancestors :none
    end
  end
end
