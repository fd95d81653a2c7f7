# frozen_string_literal: true

namespace :cargo do
  desc "Check the format of the Rust code"
  task(:fmt) { sh "cargo fmt --all --check" }

  desc "Check the Rust code; a warning is a failure"
  task(:clippy) { sh "cargo clippy --release --workspace --all-targets -- -D warnings" }

  desc "Run the Rust tests"
  task(:test) { sh "cargo test --release --workspace" }
end

desc "Check the Ruby code"
task(:rubocop) { sh "bundle exec rubocop --parallel" }

desc "Check all code"
task lint: ["cargo:fmt", "cargo:clippy", "rubocop"]
