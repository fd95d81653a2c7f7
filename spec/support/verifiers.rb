# frozen_string_literal: true

require "json"
require "open3"
require_relative "envelope_decryptor"

# Readers of encrypted objects that share no code with the gem.
module Verifiers
  # Calls the Python program, with one line of JSON for each object.
  class PythonVerifier
    SCRIPT = <<~PYTHON
      import base64, importlib.util, json, sys
      spec = importlib.util.spec_from_file_location("verifier", sys.argv[1])
      verifier = importlib.util.module_from_spec(spec)
      spec.loader.exec_module(verifier)
      options = {"legacy_wrapping": False, "legacy_unauthenticated": False, "require_commitment": False}
      for line in sys.stdin:
          asked = json.loads(line)
          try:
              body = base64.b64decode(asked["body"])
              text, _ = verifier.decrypt(asked["metadata"], None, body, asked["key"], options)
              print(base64.b64encode(text).decode(), flush=True)
          except Exception as error:
              print("!" + type(error).__name__ + " " + str(error).replace("\\n", " "), flush=True)
    PYTHON

    def initialize(file)
      python = ENV.fetch("FUZZ_PYTHON", "python3")
      @input, @output, = Open3.popen2(python, "-c", SCRIPT, file)
    end

    # @return [String, nil] the plaintext; nil if the object is refused
    def read(metadata, body, key)
      key = { kind: "aes", base64: [key].pack("m0") }
      @input.puts(JSON.generate(metadata: metadata, body: [body].pack("m0"), key: key))
      answer = @output.gets&.chomp or raise "the Python verifier ended"
      answer.start_with?("!") ? nil : answer.unpack1("m0")
    end
  end

  # Reads with OpenSSL.
  class OpenSSLVerifier
    PREFIX = "x-amz-meta-"

    # @return [String, nil] the plaintext; nil if the object is refused
    def read(metadata, body, key)
      headers = metadata.transform_keys { |name| "#{PREFIX}#{name.downcase}" }
      EnvelopeDecryptor.decrypt(headers, body, key)
    rescue StandardError
      nil
    end
  end
end
