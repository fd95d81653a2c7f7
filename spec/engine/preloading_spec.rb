# frozen_string_literal: true

require_relative "../rails_helper"
require_relative "../support/dummy_process"

# Like Spring: one process boots the application, and each command is a fork of it that reloads changed code.
RSpec.describe "An application that is booted once and forked for each command" do
  it "stores and reads in every fork, also after the first process has used the service" do
    printed, status = DummyProcess.run(<<~'RUBY')
      service = ActiveStorage::Blob.services.fetch(:encrypted)
      service.upload("preloaded", StringIO.new("of the parent"))
      forks = Array.new(3) do |number|
        fork do
          Rails.application.reloader.reload!
          ActiveStorage::Blob.services.fetch(:encrypted).upload("fork #{number}", StringIO.new("of fork #{number}"))
          $stdout.write("#{ActiveStorage::DirectUploadsController.include?(EncryptedS3Service::DirectUploads::Controller)} " \
                        "#{ActiveStorage::Blob.services.fetch(:encrypted).download("preloaded")}\n")
          exit!(true)
        end
      end
      abort "a fork failed" unless forks.all? { |pid| Process.wait2(pid).last.success? }
      puts [0, 1, 2].map { |number| service.download("fork #{number}") }.join(", ")
      service.delete("preloaded")
      3.times { |number| service.delete("fork #{number}") }
    RUBY
    expect(status).to be_success, printed
    expect(printed.lines.tally).to eq("true of the parent\n" => 3, "of fork 0, of fork 1, of fork 2\n" => 1)
  end
end
