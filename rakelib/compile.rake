# frozen_string_literal: true

require "rb_sys/extensiontask"
require_relative "../script/native_gem"

# cargo test and the extension share one target folder, and one set of compiler flags: rb_sys would otherwise add a flag
# of its own, which builds the whole SDK a second time.
ENV["RB_SYS_CARGO_TARGET_DIR"] ||= ENV["CARGO_TARGET_DIR"] || File.expand_path("../target", __dir__)
ENV["RB_SYS_GLOBAL_RUSTFLAGS"] ||= ""

# In an image of rb-sys-dock, which builds the gem for another platform by `rake native:$RUBY_TARGET gem` and has no
# other profile: the settings that `rake gem:native` makes.
if ENV["RUBY_TARGET"]
  ENV["RB_SYS_GLOBAL_RUSTFLAGS"] = NativeGem.rustflags
  ENV["CARGO_PROFILE_RELEASE_STRIP"] = "symbols"
end

RbSys::ExtensionTask.new("encrypted_s3_service", Gem::Specification.load("encrypted_s3_service.gemspec")) do |ext|
  ext.lib_dir = "lib/encrypted_s3_service"
end
