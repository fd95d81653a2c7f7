# frozen_string_literal: true

require_relative "../support/command"
require_relative "../support/custody"

RSpec.describe "The command encrypted_s3_service wrap-key" do
  include Custody
  include_context "with the command"

  let(:transit_key) { bao.transit_key }
  let(:login) { { "BAO_ADDR" => bao.address, "BAO_TOKEN" => OpenBaoServer::ROOT } }

  it "prints only a reference, a different one each time" do
    references = Array.new(2) do
      output, errors, status = run("wrap-key", transit_key, env: login)
      expect([errors, status]).to eq(["", 0])
      expect(output).to match(%r{\Aopenbao:#{transit_key}:vault:v1:[A-Za-z0-9+/=]+#\h{16}\n\z})
      output.chomp
    end
    use_open_bao
    keys = references.map { |reference| EncryptedS3Service.key_custodian.unwrap(reference.split("#").first) }
    expect(keys.map(&:bytesize)).to eq([32, 32])
    expect(keys.uniq.size).to eq(2)
  end

  it "accepts an existing key, whose objects keep their key id" do
    new_client(encryption_key_id: nil).upload(key, StringIO.new("before"))
    Tempfile.create do |file|
      file.write("base64:#{[TestStore::KEY].pack("m0")}")
      file.flush
      reference = run("wrap-key", transit_key, "--key-file", file.path, env: login).first.chomp
      use_open_bao
      client = new_client(encryption_key: reference, encryption_key_id: nil)
      expect(client.download(key)).to eq("before")
      expect(client.rotate(key).outcome).to eq(:current)
    end
  end

  it "prints a reference that decrypt accepts instead of the key" do
    reference = reference_to(transit_key)
    use_open_bao
    new_client(encryption_key: reference, encryption_key_id: nil).upload(key, StringIO.new("in custody"))
    env = { **login, "ENCRYPTION_KEY" => reference }
    expect(succeed("decrypt", address, *connection, env: env)).to eq("in custody")
  end

  it "names missing or wrong arguments, and then prints nothing" do
    { [["wrap-key"], login] => [2, /its argument is missing/],
      [["wrap-key", transit_key], { "BAO_ADDR" => nil }] => [1, /BAO_ADDR/],
      [%w[wrap-key not-there], login] => [1, /no transit key `not-there`/],
      [["wrap-key", "../sys"], login] => [1, /cannot be the name of a transit key/],
      [["wrap-key", transit_key], { **login, "BAO_TOKEN" => "wrong" }] => [1, /403 permission denied/] }
      .each do |(arguments, env), (expected, message)|
        output, errors, status = run(*arguments, env: env)
        expect([output, errors, status]).to match(["", message, expected])
      end
  end
end
