# frozen_string_literal: true

require_relative "../script/native_gem"

namespace :gem do
  desc "Build the gem that compiles on installation, in pkg/"
  task :source do
    specification = Gem::Specification.load("encrypted_s3_service.gemspec")
    puts NativeGem.pack(specification, "pkg")
  end

  desc "Build the gem with compiled extensions, for this platform and each Ruby in RUBIES (or the PATH), in pkg/"
  task :native do
    NativeGem.new(Gem::Specification.load("encrypted_s3_service.gemspec")).build("pkg")
  end
end
