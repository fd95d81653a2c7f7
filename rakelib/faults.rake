# frozen_string_literal: true

desc "Run every operation with every fault at every S3 call, and write docs/faults.md"
task :faults do
  sh({ "FAULTS" => "all" }, "bundle exec rspec spec/faults/faults_spec.rb")
end
