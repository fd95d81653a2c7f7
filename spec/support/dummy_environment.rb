# frozen_string_literal: true

require "fileutils"
require_relative "test_store"

# The environment for spec/dummy/config/storage.yml.
module DummyEnvironment
  module_function

  # Points the dummy application at the S3 server, or the folder, of this run.
  def prepare
    ENV["RAILS_ENV"] = "test"
    FileUtils.mkdir_p(File.expand_path("../dummy/tmp", __dir__))
    settings = TestStore.settings
    %i[root endpoint bucket region access_key_id secret_access_key].each do |name|
      ENV["DUMMY_#{name.to_s.upcase}"] = settings[name]
    end
    ENV["DUMMY_ENCRYPTION_KEY"] = "base64:#{[TestStore::KEY].pack("m0")}"
  end
end
