# frozen_string_literal: true

require "open3"
require_relative "../support/encryption_client"

# The core's tests compare the code with the vectors. This compares the vectors with the program that computes them.
RSpec.describe "The vectors of docs/format.md" do
  it "match the results of a program that shares no code with the gem" do
    script = File.expand_path("../vectors/segments/generate.py", __dir__)
    output, status = Open3.capture2e(EncryptionClient.python, script, "--check")
    expect([output, status.exitstatus]).to eq(["", 0])
  end
end
