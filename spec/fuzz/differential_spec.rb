# frozen_string_literal: true

require "tempfile"
require_relative "../spec_helper"
require_relative "../support/mutations"
require_relative "../support/verifiers"

# Two readers that share no code with the gem must agree with it. One is OpenSSL in Ruby. The other is any Python file
# with `decrypt(metadata, instruction_file, body, key, options)`, which `FUZZ_VERIFIER` names; it raises when the object
# must not be read.
RSpec.describe "An object and any change of it" do
  include Mutations

  # Sizes around the borders of blocks and segments.
  sizes = [0, 1, 15, 16, 17, 33, 1000, 65_535, 65_536, 65_537, 150_000]
  policies = { "V2" => "forbid_encrypt_allow_decrypt", "V3" => "require_encrypt_allow_decrypt" }

  def settings(policy)
    EncryptedS3Service::Configuration.new(**TestStore.settings_for("http://127.0.0.1:9"), commitment_policy: policy)
                                     .to_native
  end

  def seal(native, plaintext)
    with_file(plaintext) do |from|
      with_file("") do |to|
        _bytes, metadata = EncryptedS3Service::Native::Local.seal(native, "an object", from.fileno, to.fileno)
        [metadata, File.binread(to.path)]
      end
    end
  end

  # @return [String, nil] the plaintext; nil when it is refused
  def opened(native, metadata, body)
    with_file(body) do |file|
      handle = EncryptedS3Service::Native::Local.open(native, "an object", file.fileno, metadata, nil)
      text = +"".b
      while (chunk = handle.read)
        text << chunk
      end
      text
    rescue EncryptedS3Service::Error
      nil
    ensure
      handle&.close
    end
  end

  def with_file(content)
    Tempfile.create("object", binmode: true) do |file|
      file.write(content)
      file.flush
      file.rewind
      yield file
    end
  end

  # Entries that only the gem knows are not changed: other readers would not refuse such a change.
  def change(metadata, body, changed)
    kept = metadata.slice("encrypted-s3-place")
    lines, separator, text = changed.partition("\n\n".b)
    lines = lines.dup.force_encoding(Encoding::UTF_8).scrub("?").lines(chomp: true)
    entries = lines.filter_map { |line| line.split(": ", 2) if line.include?(": ") }
    [{ **entries.to_h, **kept }, separator.empty? ? body : text]
  end

  policies.each do |format, policy|
    it "is read by all implementations or by none, in #{format}, with the same bytes" do
      verifiers = [Verifiers::OpenSSLVerifier.new]
      verifiers << Verifiers::PythonVerifier.new(ENV["FUZZ_VERIFIER"]) if ENV["FUZZ_VERIFIER"]
      native = settings(policy)
      counts = Hash.new(0)
      sizes.each do |size|
        plaintext = Random.new(size).bytes(size)
        metadata, body = seal(native, plaintext)
        lines = metadata.except("encrypted-s3-place").map { |entry| entry.join(": ") }.join("\n").b
        whole = "#{lines}\n\n".b + body
        mutations([whole], runs: size > 10_000 ? 20 : 150) do |changed|
          entries, text = change(metadata, body, changed.b)
          ours = opened(native, entries, text)
          known = entries.except("encrypted-s3-place")
          theirs = verifiers.map { |verifier| verifier.read(known, text, TestStore::KEY) }
          expect(ours).to be_nil.or(eq(plaintext)), "an object was read that nobody wrote"
          expect([ours, *theirs].uniq.size).to eq(1), "ours: #{ours.inspect}, theirs: #{theirs.inspect}"
          counts[ours.nil?] += 1
        end
      end
      expect(counts.fetch(false)).to be >= sizes.size
      expect(counts.fetch(true)).to be > counts.fetch(false)
    end
  end
end
