# frozen_string_literal: true

require "rb_sys/extensiontask"
require_relative "../script/native_gem"

# cargo test and the extension share one target folder and the same compiler flags. Otherwise rb_sys adds a flag, with
# which the whole SDK is built a second time.
ENV["RB_SYS_CARGO_TARGET_DIR"] ||= ENV["CARGO_TARGET_DIR"] || File.expand_path("../target", __dir__)
ENV["RB_SYS_GLOBAL_RUSTFLAGS"] ||= ""

# The settings of `rake gem:native`, for images of rb-sys-dock. They build the gem for another platform with
# `rake native:$RUBY_TARGET gem`, and have no other profile.
if ENV["RUBY_TARGET"]
  ENV["RB_SYS_GLOBAL_RUSTFLAGS"] = NativeGem.rustflags
  ENV["CARGO_PROFILE_RELEASE_STRIP"] = "symbols"
end

RbSys::ExtensionTask.new("encrypted_s3_service", Gem::Specification.load("encrypted_s3_service.gemspec")) do |ext|
  ext.lib_dir = "lib/encrypted_s3_service"
end
