# frozen_string_literal: true

require "open3"
require "rbconfig"
require_relative "../support/custody"

# The command in a process of its own, without Rails.
RSpec.describe "The command encrypted_s3_service wrap-key" do
  include Custody

  let(:key) { bao.transit_key }
  let(:environment) { { "BAO_ADDR" => bao.address, "BAO_TOKEN" => OpenBaoServer::ROOT } }

  # @return [Array(String, String, Integer)] what it printed, what it said on stderr, its exit status
  def run(*arguments, env: environment)
    folder = File.expand_path("../..", __dir__)
    output, errors, status = Open3.capture3(env, RbConfig.ruby, "-rbundler/setup", "-I", "#{folder}/lib",
                                            "#{folder}/exe/encrypted_s3_service", *arguments, binmode: true)
    [output, errors, status.exitstatus]
  end

  it "prints only a reference, a different one each time" do
    references = Array.new(2) do
      output, errors, status = run("wrap-key", key)
      expect([errors, status]).to eq(["", 0])
      expect(output).to match(%r{\Aopenbao:#{key}:vault:v1:[A-Za-z0-9+/=]+#\h{16}\n\z})
      output.chomp
    end
    use_open_bao
    keys = references.map { |reference| EncryptedS3Service.key_custodian.unwrap(reference.split("#").first) }
    expect(keys.map(&:bytesize)).to eq([32, 32])
    expect(keys.uniq.size).to eq(2)
  end

  it "accepts an existing key, whose objects keep their key id" do
    object = unique_key
    new_client(encryption_key_id: nil).upload(object, StringIO.new("before"))
    Tempfile.create do |file|
      file.write("base64:#{[TestStore::KEY].pack("m0")}")
      file.flush
      reference = run("wrap-key", key, "--key-file", file.path).first.chomp
      use_open_bao
      client = new_client(encryption_key: reference, encryption_key_id: nil)
      expect(client.download(object)).to eq("before")
      expect(client.rotate(object).outcome).to eq(:current)
    end
  end

  it "prints a reference that decrypt accepts instead of the key" do
    object = unique_key
    reference = reference_to(key)
    use_open_bao
    new_client(encryption_key: reference, encryption_key_id: nil).upload(object, StringIO.new("in custody"))
    settings = TestStore.settings
    store = { "AWS_ACCESS_KEY_ID" => settings[:access_key_id], "AWS_SECRET_ACCESS_KEY" => settings[:secret_access_key],
              "AWS_REGION" => settings[:region], "ENCRYPTION_KEY" => reference }
    address = "s3://#{bucket}/#{object}"
    output, errors, status = run("decrypt", address, "--endpoint", settings[:endpoint], "--path-style",
                                 env: { **environment, **store })
    expect([output, errors, status]).to eq(["in custody", "", 0])
  end

  it "names missing or wrong arguments, and then prints nothing" do
    { [["wrap-key"], environment] => [2, /its argument is missing/],
      [["wrap-key", key], { "BAO_ADDR" => nil }] => [1, /BAO_ADDR/],
      [%w[wrap-key not-there], environment] => [1, /no transit key `not-there`/],
      [["wrap-key", "../sys"], environment] => [1, /cannot be the name of a transit key/],
      [["wrap-key", key], { **environment, "BAO_TOKEN" => "wrong" }] => [1, /403 permission denied/] }
      .each do |(arguments, env), (expected, message)|
        output, errors, status = run(*arguments, env: env)
        expect([output, errors, status]).to match(["", message, expected])
      end
  end
end
