# frozen_string_literal: true

require_relative "spec_helper"
require_relative "support/dummy_environment"

DummyEnvironment.prepare
require_relative "dummy/config/environment"
require "rspec/rails"

ActiveRecord::Schema.verbose = false
load Rails.root.join("db/schema.rb")

RSpec.configure do |config|
  # Attachments are uploaded after the commit, which never happens inside a surrounding transaction.
  config.use_transactional_fixtures = false
  config.include ActiveJob::TestHelper
  config.include ActiveSupport::Testing::TimeHelpers
end
