# frozen_string_literal: true

require "json"
require "open3"
require "rbconfig"
require "tmpdir"
require_relative "aws_clients"

# Runs the command encrypted_s3_service in its own process, without Rails, in an empty folder.
RSpec.shared_context "with the command" do
  around do |example|
    Dir.mktmpdir { |folder| Dir.chdir(folder) { example.run } }
  end

  def key = @key ||= unique_key

  let(:encryption_key) { "base64:#{[TestStore::KEY].pack("m0")}" }
  let(:data) { random_bytes(300_000) }

  # The environment variables of Amazon's tools.
  def environment
    settings = TestStore.settings
    { "AWS_ACCESS_KEY_ID" => settings[:access_key_id], "AWS_SECRET_ACCESS_KEY" => settings[:secret_access_key],
      "AWS_REGION" => settings[:region], "ENCRYPTION_KEY" => encryption_key, "ENCRYPTION_KEY_PASSPHRASE" => nil }
  end

  # @return [Array(String, String, Integer)] output, error output, exit status
  def run(*, env: {})
    output, errors, status = Open3.capture3(*command(*, env: env), binmode: true)
    [output, errors, status.exitstatus]
  end

  # @return [Array(String, Integer)] error output, exit status
  def run_into(output, *)
    errors = File.open("errors", "w+")
    _, status = Process.wait2(spawn(*command(*), out: output, err: errors))
    [errors.tap(&:rewind).read, status.exitstatus]
  ensure
    errors.close
  end

  def command(*, env: {})
    library = File.expand_path("../../lib", __dir__)
    program = File.expand_path("../../exe/encrypted_s3_service", __dir__)
    [{ **environment, **env }, RbConfig.ruby, "-rbundler/setup", "-I", library, program, *]
  end

  # @return [String] its output
  def succeed(*, **)
    output, errors, status = run(*, **)
    expect([errors, status]).to eq(["", 0])
    output
  end

  # @return [String] its error output
  def fail_with(status, *, **)
    output, errors, found = run(*, **)
    expect([found, output]).to eq([status, ""]), errors
    expect(errors).to start_with("encrypted_s3_service: ")
    expect(errors).not_to match(/\.rb:\d/)
    errors
  end

  def address = "s3://#{bucket}/#{key}"

  def connection = ["--endpoint", TestStore.settings[:endpoint], "--path-style"]

  # Downloads an object from the bucket as Amazon's tools do.
  def take_out(name = "body", metadata: "#{name}.metadata.json")
    object = AwsClients.plain.get_object(bucket: bucket, key: key, response_target: name)
    File.write(metadata, JSON.generate("ContentLength" => object.content_length, "Metadata" => object.metadata))
  end

  def aws_writes(body = data, client = AwsClients.v2(TestStore::KEY))
    client.put_object(bucket: bucket, key: key, body: body)
  end
end
