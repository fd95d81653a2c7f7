# frozen_string_literal: true

require_relative "../rails_helper"
require_relative "../support/mutations"

RSpec.describe "Any name and type of a file" do
  include Mutations

  types = EncryptedS3Service::Serving::ContentType
  values = ["text/plain", "text/html; charset=utf-8", "video/webm;codecs=vp9,opus", "Audio/WebM", "\"audio/webm\"",
            "image/svg+xml", "a/b; c=\"d e\"", "application/x-zip-compressed", "text", "/", "", "text/plain\r\nX: y"]
  names = ["a.txt", "übung \"1\".pdf", "日本語.png", "../../etc/passwd", "a\r\nX: y", "a\u202Egnp.exe", "C:\\a", "." * 300]

  it "becomes one header line with a type, or application/octet-stream" do
    mutations(values, runs: 20_000) do |value|
      safe = types.safe(value)
      expect(safe).to match(%r{\A[!-~]+/[!-~]+}).and match(/\A[^\0-\x08\x0a-\x1f\x7f]*\z/)
      expect(safe.bytesize).to be <= 1024
      expect(types.safe(safe)).to eq(safe)
      expect(types.normal(value)).to match(%r{\A[!-~]+/[!-~]+\z})
      expect([true, false]).to include(types.same?(value, "text/plain"), types.media?(value))
    end
  end

  it "becomes headers that add no line, are ASCII and let no page run" do
    file = Struct.new(:etag).new("\"e\"")
    mutations(names + values, runs: 5_000) do |bytes|
      # A token is JSON.
      value = bytes.scrub("?")
      token = { key: value, filename: value, content_type: value, disposition: value }
      headers = EncryptedS3Service::Serving::FileHeaders.new(token, public: false).for(file)
      expect(headers.except("Content-Type").values).to all(match(/\A[ -~]*\z/))
      expect(headers["Content-Type"]).not_to match(/[\r\n\0]/)
      expect(headers["Content-Disposition"]).to start_with("inline").or start_with("attachment")
      expect(headers["Content-Security-Policy"]).to start_with("default-src 'none'")
    end
  end
end
