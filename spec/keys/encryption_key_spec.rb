# frozen_string_literal: true

require "json"
require "yaml"

RSpec.describe EncryptedS3Service::EncryptionKey do
  let(:bytes) { (200..231).to_a.pack("C*") }
  let(:text) { ["c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e7"].pack("H*") }

  def refusal_of(value, **)
    described_class.new(value, **)
    nil
  rescue EncryptedS3Service::ConfigurationError => e
    e.message
  end

  it "accepts 32 bytes in strict Base64 after `base64:`" do
    key = described_class.new("base64:yMnKy8zNzs/Q0dLT1NXW19jZ2tvc3d7f4OHi4+Tl5uc=")
    expect(key.bytes).to eq(text)
  end

  it "accepts a raw string of 32 bytes, as the reference gem does" do
    expect(described_class.new("0123456789abcdef0123456789abcdef").bytes).to eq("0123456789abcdef0123456789abcdef")
  end

  it "counts bytes, not characters" do
    expect(described_class.new("äöüß" * 4).bytes).to eq(("äöüß" * 4).b)
    expect(refusal_of("ä" * 32)).to include("exactly 32 bytes, not 64")
  end

  it "keeps a frozen binary copy, whatever happens to the given string" do
    given = +"0123456789abcdef0123456789abcdef"
    key = described_class.new(given)
    given.replace("gone")
    expect(key.bytes).to have_attributes(encoding: Encoding::BINARY, frozen?: true, bytesize: 32)
    expect(key).to be_frozen
  end

  [0, 1, 16, 24, 31, 33, 64].each do |size|
    it "refuses #{size} bytes, raw and in Base64, and says how to make a key" do
      raw = refusal_of("\xC8".b * size)
      encoded = refusal_of("base64:#{["\xC8".b * size].pack("m0")}")
      expect([raw, encoded]).to all(include("exactly 32 bytes, not #{size}").and(include("SecureRandom.base64(32)")))
    end
  end

  it "suggests `base64:` for Base64 without it, and does not take it for a raw key" do
    expect(refusal_of([bytes].pack("m0"))).to include("put `base64:` before it")
  end

  it "recognises a key in hexadecimal digits" do
    expect(refusal_of(bytes.unpack1("H*"))).to include("hexadecimal")
  end

  ["base64:yMnKy8zNzs/Q0dLT1NXW19jZ2tvc3d7f4OHi4+Tl5uc", "base64: yMnKy8zNzs/Q0dLT1NXW19jZ2tvc3d7f4OHi4+Tl5uc=",
   "base64:yMnKy8zNzs/Q0dLT1NXW19jZ2tvc3d7f4OHi4+Tl5uc=\n", "base64:yMnKy8zNzs_Q0dLT1NXW19jZ2tvc3d7f4OHi4-Tl5uc=",
   "base64:äöü"].each do |sloppy|
    it "refuses the invalid Base64 #{sloppy.inspect}" do
      expect(refusal_of(sloppy)).to include("not strict Base64")
    end
  end

  it "names the traces that editors and secret stores leave in a key" do
    base64 = [bytes].pack("m0")
    url_safe = base64.tr("+/", "-_")
    around = "blanks or line breaks around it"
    { "base64:#{base64}\n" => around, " base64:#{base64}" => around, "#{base64}\r\n" => around,
      "base64:#{[bytes].pack("m20")}" => "blanks or line breaks", "base64:#{url_safe}" => "write + and / for - and _",
      "base64:#{base64.delete("=")}" => "pad it with =", url_safe => "put `base64:` before it",
      "\uFEFFbase64:#{base64}" => "byte order mark" }.each do |value, advice|
      expect(refusal_of(value)).to include(advice)
    end
  end

  it "refuses a text in an encoding of neither files nor environments, and an invalid path" do
    expect(refusal_of("base64:#{[bytes].pack("m0")}".encode("UTF-16LE"))).to include("must be exactly 32 bytes")
    expect(refusal_of("file:/etc/\0key")).to include("contains a NUL character")
  end

  it "refuses a number, which YAML makes of a key of digits without quotes" do
    expect(refusal_of(12_345_678_901_234_567_890_123_456_789_012)).to include("must be a String (quote it in YAML)")
  end

  it "never quotes the key in an error" do
    secrets = ["s3cret-s3cret-s3cret", "base64:s3cret-s3cret", "base64:#{["s3cret"].pack("m0")}", "s3cret" * 9]
    expect(secrets.map { |secret| refusal_of(secret) }.join).not_to match(/s3cret|#{["s3cret"].pack("m0")}/)
  end

  describe "the id" do
    it "is derived from the key in the same way everywhere" do
      # printf 'encrypted_s3_service/key-id' | openssl dgst -sha256 -mac HMAC -macopt hexkey:c8c9…e7
      expected = OpenSSL::HMAC.hexdigest("SHA256", text, "encrypted_s3_service/key-id")[..15]
      expect(described_class.new(bytes).id).to eq(expected)
      expect(described_class.new(bytes).id).to match(/\A\h{16}\z/)
    end

    it "differs for another key" do
      expect(described_class.new(bytes).id).not_to eq(described_class.new(bytes.reverse).id)
    end

    it "can be given" do
      expect(described_class.new(bytes, id: "2026-11 main").id).to eq("2026-11 main")
    end

    it "is absent if an empty one is given" do
      expect(described_class.new(bytes, id: "").id).to be_nil
    end

    ["ä", "a\nb", "a\tb", "x" * 129, 5, "\x7F"].each do |id|
      it "cannot be #{id.inspect}, which HTTP headers cannot carry safely" do
        expect(refusal_of(bytes, id: id)).to include("printable ASCII of at most 128 characters")
      end
    end
  end

  it "shows the key in no text that Ruby or Rails makes of it" do
    key = described_class.new(bytes, id: "main")
    expect([key.inspect, key.to_s, key.to_json, [key].inspect, "#{key}"].uniq.join) # rubocop:disable Style/RedundantInterpolation
      .to include("main").and(satisfy { |text| !text.b.include?(bytes[0, 8]) })
    expect { Marshal.dump(key) }.to raise_error(TypeError, /secrets/)
    expect { YAML.dump(key) }.to raise_error(TypeError, /secrets/)
  end
end
