# frozen_string_literal: true

Rails.application.configure do
  config.consider_all_requests_local = true
  config.action_dispatch.show_exceptions = :rescuable
  config.action_controller.allow_forgery_protection = false
  config.active_support.deprecation = :raise
  config.log_level = :debug
end
