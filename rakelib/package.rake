# frozen_string_literal: true

require "fileutils"
require_relative "../script/native_gem"

namespace :package do
  desc "Build the gem, install it away from the checkout, and load it from there"
  task :check do
    folder = File.expand_path("../tmp/package", __dir__)
    FileUtils.rm_rf(folder)
    package = NativeGem.pack(Gem::Specification.load("encrypted_s3_service.gemspec"), folder)

    # Outside of the bundle, as in an application. RubyGems compiles our crates again. The others, which take minutes,
    # are taken from this checkout.
    home = File.join(folder, "home")
    ours = ENV.slice("SOURCE_DATE_EPOCH", "MAKEFLAGS", "RB_SYS_CARGO_TARGET_DIR", "RB_SYS_GLOBAL_RUSTFLAGS")
    environment = { "GEM_HOME" => home, "GEM_PATH" => [home, *Gem.path].join(File::PATH_SEPARATOR), **ours }
    program = <<~RUBY
      require "encrypted_s3_service"
      path = Gem.loaded_specs.fetch("encrypted_s3_service").full_gem_path
      abort "loaded from \#{path}" unless path.start_with?(#{home.inspect})
      client = EncryptedS3Service::Client.new(bucket: "files", region: "eu-central-1", encryption_key: "k" * 32)
      puts "the packaged gem is installed and loads: \#{client.inspect}"
    RUBY
    Bundler.with_unbundled_env do
      sh environment, "gem", "install", "--local", "--no-document", "--ignore-dependencies", package, verbose: false
      sh environment, RbConfig.ruby, "-e", program, chdir: folder, verbose: false
      sh environment, File.join(home, "bin", "encrypted_s3_service"), "--version", chdir: folder, verbose: false
    end
    FileUtils.rm_rf(folder)
  end
end
