# frozen_string_literal: true

require_relative "../support/command"

RSpec.describe "The command encrypted_s3_service and the place of objects" do
  include_context "with the command"

  describe "with renamed objects" do
    let(:former) { unique_key }

    before do
      new_client.upload(former, StringIO.new(data))
      AwsClients.plain.copy_object(bucket: bucket, copy_source: "#{bucket}/#{former}", key: key)
    end

    it "decrypt says what to do, and rebind does it" do
      message = fail_with(1, "decrypt", address, *connection)
      expect(message).to include("was not written under this key", "rebind #{address} --from OLD-KEY")
      _, said, status = run("rebind", address, "--from", former, *connection)
      expect([said, status]).to eq(["encrypted_s3_service: #{address} is bound to its key\n", 0])
      expect(succeed("decrypt", address, *connection)).to be_bytes(data)
      _, said, = run("rebind", address, "--from", former, *connection)
      expect(said).to include("was bound to its key already")
    end

    it "rebind refuses a wrong former key" do
      message = fail_with(1, "rebind", address, "--from", unique_key, *connection)
      expect(message).to include("neither under this key nor under")
      expect(message).not_to include("OLD-KEY")
      expect(fail_with(1, "decrypt", address, *connection)).to include("was not written under this key")
    end

    it "rebind requires the new and the former key" do
      expect(fail_with(2, "rebind", address)).to include("--from KEY")
      expect(fail_with(2, "rebind", "body", "--from", former)).to include("s3://BUCKET/KEY")
      expect(fail_with(2, "rebind", address, "--from", address)).to include("the key alone")
      expect(fail_with(2, "decrypt", address, "--from", former)).to include("--from is for rebind only")
    end

    it "decrypt reads them if the binding is switched off, and refuses unbound objects on demand" do
      expect(succeed("decrypt", address, *connection, "--place-binding", "off")).to be_bytes(data)
      aws_writes
      expect(fail_with(1, "decrypt", address, *connection, "--place-binding", "require"))
        .to include("encrypted-s3-place")
    end
  end

  describe "with local files" do
    before { File.binwrite("plain", data) }

    it "checks the place if it is given: a file does not contain its key" do
      new_client.upload(key, StringIO.new(data))
      take_out
      expect(succeed("decrypt", "body")).to be_bytes(data)
      expect(succeed("decrypt", "body", "--object-key", key)).to be_bytes(data)
      expect(fail_with(1, "decrypt", "body", "--object-key", "another"))
        .to include("was not written under this key", "Without --object-key")
    end

    it "writes the place if it is given, so that the object can be stored there and read if that is required" do
      succeed("encrypt", "plain", "-o", "body", "--object-key", key)
      metadata = JSON.parse(File.read("body.metadata.json"))
      AwsClients.plain.put_object(bucket: bucket, key: key, body: File.binread("body"), metadata: metadata)
      expect(new_client(place_binding: "require").download(key)).to be_bytes(data)
      succeed("encrypt", "plain", "-o", "free")
      expect(JSON.parse(File.read("free.metadata.json"))).not_to include("encrypted-s3-place")
    end
  end
end
