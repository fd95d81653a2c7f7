# frozen_string_literal: true

require "bundler/setup"
require "rails"
require "active_model/railtie"
require "active_job/railtie"
require "active_record/railtie"
require_relative "../../../spec/support/untrusted_images"
require "active_storage/engine"
require "action_controller/railtie"
require "action_view/railtie"
require "encrypted_s3_service"

module DemoApp
  # A page to upload files on, which are stored encrypted.
  class Application < Rails::Application
    config.root = File.expand_path("..", __dir__)
    config.load_defaults 7.1
    config.eager_load = true
    config.enable_reloading = false
    config.consider_all_requests_local = true
    config.secret_key_base = ENV["SECRET_KEY_BASE"] || SecureRandom.hex(64)
    config.log_level = :info
    config.paths.add "log", with: ENV.fetch("DEMO_LOG", "log/#{Rails.env}.log")

    config.active_storage.service = :encrypted_amazon
    # The bucket holds ciphertext, so a link to the bucket would be of no use: the application serves the files.
    config.active_storage.resolve_model_to_route = :rails_storage_proxy
    # No file is read again after it is stored, only when somebody asks for it.
    config.active_storage.analyzers = []
    config.active_storage.previewers = []

    config.content_security_policy do |policy|
      policy.default_src :none
      policy.style_src :self
      policy.img_src :self
      policy.form_action :self
      policy.base_uri :none
      policy.frame_ancestors :none
    end
  end
end
