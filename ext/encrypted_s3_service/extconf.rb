# frozen_string_literal: true

require "mkmf"
require "rb_sys/mkmf"
require_relative "toolchain"

# `gem install encrypted_s3_service -- --enable-fips`, or the variable: see docs/fips.md.
fips = enable_config("fips", !["", "0"].include?(ENV.fetch("ENCRYPTED_S3_SERVICE_FIPS", "")))
problems = Toolchain.new(File.expand_path("../../Cargo.toml", __dir__), fips: fips).problems
unless problems.empty?
  abort ["encrypted_s3_service cannot be built here:", *problems.map { |line| "- #{line}" },
         "The compiled gems for Linux and macOS need none of this; see \"Install\" in the README."].join("\n")
end

create_rust_makefile("encrypted_s3_service/encrypted_s3_service") do |builder|
  builder.features = ["fips"] if fips
end
