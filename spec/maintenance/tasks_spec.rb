# frozen_string_literal: true

require "open3"
require "rbconfig"
require "yaml"
require_relative "../support/dummy_environment"

# The tasks of the dummy application, in a process of their own.
RSpec.describe "The tasks in a Rails application" do
  before { DummyEnvironment.prepare }

  # @return [Array(String, String, Process::Status)]
  def rake(*arguments, env: {})
    library = File.expand_path("../../lib", __dir__)
    Open3.capture3({ "SERVICE" => nil, **env }, RbConfig.ruby, "-rbundler/setup", "-I", library, "-S", "rake",
                   *arguments, chdir: File.expand_path("../dummy", __dir__))
  end

  describe "encrypted_s3_service:generate_key" do
    it "prints a valid key once, and on stderr what to do with it" do
      output, errors, status = rake("encrypted_s3_service:generate_key")
      expect(status).to be_success
      expect(EncryptedS3Service::EncryptionKey.new(output.chomp).bytes.bytesize).to eq(32)
      expect(output.lines.size).to eq(1)
      expect(errors).to include("credentials:edit").and include("ENCRYPTION_KEY").and include("the files are lost")
      expect(errors).not_to include(output.chomp.delete_prefix("base64:"))
    end

    it "prints another one each time" do
      keys = Array.new(2) { rake("encrypted_s3_service:generate_key").first }
      expect(keys.uniq.size).to eq(2)
    end
  end

  describe "encrypted_s3_service:doctor" do
    it "reports success for the application's service" do
      output, errors, status = rake("encrypted_s3_service:doctor", "SERVICE=encrypted")
      expect(status).to be_success, output + errors
      expect(output).to match(/\Aencrypted: bucket #{bucket}/).and include("No check failed.")
      expect(output).not_to include("\e[")
    end

    it "exits with 1 when something fails" do
      output, _errors, status = rake("encrypted_s3_service:doctor", env: { "DUMMY_SECRET_ACCESS_KEY" => "wrong" })
      expect(status.exitstatus).to eq(1)
      expect(output).to match(/FAILED +credentials .*SignatureDoesNotMatch/)
    end

    it "names the error in settings with which no service can be built" do
      output, errors, status = rake("encrypted_s3_service:doctor", env: { "DUMMY_ENCRYPTION_KEY" => "" })
      expect(status.exitstatus).to eq(1), output + errors
      expect(output).to match(/FAILED +key +missing/)
    end

    it "examines all services by default" do
      output, = rake("encrypted_s3_service:doctor", env: { "DUMMY_SECRET_ACCESS_KEY" => "wrong" })
      storage = File.read(File.expand_path("../dummy/config/storage.yml", __dir__))
      names = YAML.unsafe_load(storage.gsub(/^<%[^=].*%>$/, "").gsub(/<%=.*?%>/, "x"))
                  .select { |_, entry| entry["service"] == "EncryptedS3" }.keys
      expect(output.scan(/^(\w+): bucket/).flatten).to eq(names)
    end

    it "lists the existing services when the given name is unknown" do
      _output, errors, status = rake("encrypted_s3_service:doctor", "SERVICE=local")
      expect(status.exitstatus).to eq(1)
      expect(errors).to include('There is no EncryptedS3 service "local". storage.yml has encrypted, ')
      expect(errors).not_to include("doctor.rb:")
    end
  end

  # Ruby writes the rest of a short output when it exits, and ignores errors of this write.
  it "fail if their output cannot be written, however short it is", if: File.exist?("/dev/full") do
    %w[generate_key unreadable].each do |task|
      library = File.expand_path("../../lib", __dir__)
      process = spawn(RbConfig.ruby, "-rbundler/setup", "-I", library, "-S", "rake", "encrypted_s3_service:#{task}",
                      chdir: File.expand_path("../dummy", __dir__), out: "/dev/full", err: File::NULL)
      expect(Process.wait2(process).last.exitstatus).to eq(1), task
    end
  end

  it "are listed with a description" do
    output, = rake("-T", "encrypted_s3_service")
    expect(output).to match(/encrypted_s3_service:doctor +# Test the/).and match(/:generate_key +# Print a new/)
  end
end
