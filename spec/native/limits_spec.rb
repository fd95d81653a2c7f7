# frozen_string_literal: true

require_relative "../support/ruby_process"

# `ulimit -u`, TasksMax of systemd and pids.max of a container limit the number of threads.
RSpec.describe EncryptedS3Service::Client, "where the system refuses threads", if: defined?(Process::RLIMIT_NPROC) do
  # The limit does not apply to root.
  code = <<~'RUBY'
    Process::UID.change_privilege(65_533) if Process.uid.zero?
    client = EncryptedS3Service::Client.new(endpoint: "http://127.0.0.1:1", region: "us-east-1", bucket: "files",
                                            access_key_id: "id", secret_access_key: "secret", retry_limit: 0,
                                            encryption_key: "k" * 32)
    usual, most = Process.getrlimit(:NPROC)
    [input.first, usual].each do |limit|
      Process.setrlimit(:NPROC, limit, most)
      client.exist?("a")
    rescue EncryptedS3Service::Error => e
      puts "#{e.class}: #{e.message}"
    end
  RUBY

  (1..6).each do |limit|
    it "fails at once with a limit of #{limit} processes, and works when it is raised" do
      printed, status = RubyProcess.start(code, limit) { |process| process.result(within: 20) }
      expect(status).to be_success, printed
      first, second = printed.lines
      # Nothing listens there.
      refused = /\AEncryptedS3Service::TransportError: .*connection refused/
      expect(first).to match(/\AEncryptedS3Service::InternalError: Cannot start threads .*pids.max/).or match(refused)
      expect(first).to match(/InternalError/) if limit == 1
      expect(second).to match(refused)
    end
  end
end
