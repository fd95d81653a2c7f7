# frozen_string_literal: true

require_relative "../spec_helper"
require_relative "../support/small_app"

# Published recipes put a file of this name into the application, and other gems have one too.
RSpec.describe "Another file active_storage/service/encrypted_s3_service.rb" do
  # The class that would take over, without encrypting.
  recipe = <<~RUBY
    require "active_storage/service/disk_service"
    class ActiveStorage::Service::EncryptedS3Service < ActiveStorage::Service::DiskService
    end
  RUBY
  name = "active_storage/service/encrypted_s3_service.rb"

  # @return [Array(String, Boolean)] what was said, and whether the application booted
  def boot(files, before_boot: "", env: {})
    SmallApp.create do |app|
      files.each { |path, text| app.write(path, text) }
      text = app.read("config/application.rb")
      app.write("config/application.rb", text.sub("config.eager_load = false", "\\0\n#{before_boot}"))
      _, said, status = app.rails("runner", "puts 1", env: env)
      [said, status.success?]
    end
  end

  it "is detected at boot in the application's lib" do
    said, well = boot({ "lib/#{name}" => recipe })
    expect(well).to be(false)
    expect(said).to include("`service: EncryptedS3` is not the service of the gem encrypted_s3_service, because " \
                            "lib/#{name} replaces it. Delete or rename that file")
  end

  it "is detected in a gem of any name" do
    engine = <<~RUBY
      module SomeGem
        class Engine < Rails::Engine
          config.root = File.expand_path("..", __dir__)
        end
      end
    RUBY
    said, well = boot({ "vendor/some_gem/lib/#{name}" => recipe, "vendor/some_gem/lib/some_gem.rb" => engine },
                      before_boot: 'require File.expand_path("../vendor/some_gem/lib/some_gem", __dir__)')
    expect([said, well]).to match([%r{vendor/some_gem/lib/#{name} replaces it}, false])
  end

  it "is detected on the path of the application's autoloader" do
    said, well = boot({ "app/storage/#{name}" => recipe })
    expect([said, well]).to match([%r{app/storage/#{name} replaces it}, false])
  end

  it "is detected if an initializer loaded it from elsewhere" do
    said, well = boot({ "extra/storage.rb" => recipe,
                        "config/initializers/storage.rb" => 'require Rails.root.join("extra/storage").to_s' })
    expect([said, well]).to match([%r{extra/storage\.rb replaces it}, false])
  end

  it "is ignored under another name, and if it is the gem's own by another path" do
    link = '$LOAD_PATH.unshift(File.expand_path("../linked", __dir__).tap { |path| ' \
           "File.symlink(#{SmallApp::LIBRARY.inspect}, path) })"
    said, well = boot({ "lib/active_storage/service/other_service.rb" => recipe.sub("EncryptedS3", "Other") },
                      before_boot: link)
    expect(well).to be(true), said
  end
end
