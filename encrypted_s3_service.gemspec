# frozen_string_literal: true

require_relative "lib/encrypted_s3_service/version"

Gem::Specification.new do |spec|
  spec.name = "encrypted_s3_service"
  spec.version = EncryptedS3Service::VERSION
  spec.authors = ["encrypted_s3_service maintainers"]
  spec.summary = "Client-side encryption for Active Storage on S3"
  spec.description = "An Active Storage service that encrypts files on your own server, in Amazon's S3 EncryptionV2 " \
                     "envelope format, before they reach S3 or any S3-compatible store. The core is written in Rust."
  spec.license = "MIT"
  spec.required_ruby_version = ">= 3.2"
  spec.required_rubygems_version = ">= 3.3.11"

  # Including the documents, to which the README, messages and comments refer.
  spec.files = Dir[
    "exe/*", "lib/**/*.{rb,rake,tt,erb}", "lib/generators/**/USAGE", "app/**/*.rb", "config/**/*.{rb,yml}",
    "sig/**/*.rbs", "ext/**/*.{rs,rb,toml}", "Cargo.toml", "Cargo.lock", "rustfmt.toml",
    "docs/*", "benchmarks/results.{md,svg}", "*.md", "LICENSE.txt", "LICENSE-THIRD-PARTY.txt"
  ].grep_v(%r{\Aext/[^/]+/(tests|benches|fuzz|target)/})
  spec.bindir = "exe"
  spec.executables = ["encrypted_s3_service"]
  spec.require_paths = ["lib"]
  spec.extensions = ["ext/encrypted_s3_service/extconf.rb"]

  spec.metadata["rubygems_mfa_required"] = "true"

  spec.add_dependency "activestorage", ">= 7.1"
  # No longer a default gem in Ruby 4.0.
  spec.add_dependency "logger", ">= 1.4.2"
  spec.add_dependency "railties", ">= 7.1"
  spec.add_dependency "rb_sys", "~> 0.9"
end
