# frozen_string_literal: true

require "securerandom"
require "stringio"
require "tempfile"
require "timeout"
require "encrypted_s3_service"

require_relative "support/bounded_programs"
require_relative "support/bytes_matcher"
require_relative "support/envelope_decryptor"
require_relative "support/io_doubles"
require_relative "support/s3_server"
require_relative "support/stalling_server"
require_relative "support/test_store"

RSpec.configure do |config|
  config.disable_monkey_patching!
  config.raise_errors_for_deprecations!
  config.expect_with(:rspec) { |expectations| expectations.syntax = :expect }
  config.mock_with(:rspec) { |mocks| mocks.verify_partial_doubles = true }
  config.shared_context_metadata_behavior = :apply_to_host_groups
  config.order = :random
  config.example_status_persistence_file_path = "tmp/examples#{ENV.fetch("DUMMY_RUN", nil)}.txt"
  Kernel.srand config.seed

  config.include TestStore::Helpers

  # A transfer that hangs must fail one example, not stop the whole run.
  config.around { |example| Timeout.timeout(example.metadata.fetch(:patience, 120)) { example.run } }
end
