# frozen_string_literal: true

desc "Write the documentation to doc/; fails on a warning and on anything public without documentation"
task :doc do
  sh "bundle exec yard doc --fail-on-warning --no-progress"
  report = IO.popen(%w[bundle exec yard stats --list-undoc --no-save], &:read)
  abort report unless report.include?("100.00% documented")
end
