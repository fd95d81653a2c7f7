# frozen_string_literal: true

require_relative "../support/command"
require_relative "../support/segment_map"

RSpec.describe "The command encrypted_s3_service and segment maps" do
  include_context "with the command"

  let(:large) { random_bytes(17 << 20) }

  it "stores that of a large object of Amazon's client" do
    aws_writes(large)
    expect(succeed("inspect", address, *connection)).to match(/^segment map: +none$/)
    2.times do |run|
      output, errors, status = run("index", address, *connection)
      expect([output, status]).to eq(["", 0])
      expect(errors).to end_with("#{run.zero? ? "has a segment map now" : "had a segment map already"}\n")
    end
    expect(stored("#{key}.segments").last).to be_bytes(SegmentMap.of(*stored(key), TestStore::KEY))
    expect(succeed("inspect", address, *connection)).to match(/^segment map: +#{address}\.segments$/)
  end

  it "says that a small object needs none" do
    aws_writes
    expect(run("index", address, *connection)[1]).to end_with("is too small for a segment map; it is read whole\n")
    expect(server.list(bucket, prefix: key)).to eq([key])
  end

  it "stores none of a changed object" do
    aws_writes(large)
    headers, body = stored(key)
    restore(key, headers, body.tap { |bytes| bytes.setbyte(9, bytes.getbyte(9) ^ 1) })
    fail_with(1, "index", address, *connection)
    expect(server.list(bucket, prefix: key)).to eq([key])
  end

  it "recognizes one, and does not read or write it as a file" do
    new_client.upload(key, StringIO.new(large))
    expect(succeed("inspect", "#{address}.segments", *connection))
      .to eq("#{address}.segments is not an encrypted object: it is the segment map of #{address}.\n")
    expect(fail_with(1, "decrypt", "#{address}.segments", *connection)).to include("segment map of the object")
    File.write("plain", "text")
    expect(fail_with(1, "encrypt", "plain", "-o", "s3://#{bucket}/new.segments", *connection))
      .to include("segment maps of other objects")
  end

  it "writes no byte of a changed object to the standard output, whatever its map proves" do
    new_client.upload(key, StringIO.new(large))
    expect(succeed("decrypt", address, *connection)).to be_bytes(large)
    headers, body = stored(key)
    restore(key, headers, body.tap { |bytes| bytes.setbyte(-100, bytes.getbyte(-100) ^ 1) })
    expect(fail_with(1, "decrypt", address, *connection)).to include("the object was changed")
  end

  it "indexes objects in buckets, and writes no file" do
    fail_with(2, "index", "body")
    fail_with(2, "index", address, "-o", "x")
  end
end
