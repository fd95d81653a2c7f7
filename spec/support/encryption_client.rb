# frozen_string_literal: true

require "json"

# Amazon's S3 encryption client for Python, which writes and reads the V3 format. The gems of the specs do not include
# Amazon's Ruby client for V3.
class EncryptionClient
  SCRIPT = File.expand_path("encryption_client.py", __dir__)
  LOCK = Mutex.new
  private_constant :LOCK

  # @param key [Hash] `wrapping_key:` (Base64), `private_key_pem:`, or `kms_key_id:`, `kms_endpoint:` and optionally
  #   `encryption_context:`
  # @param commitment_policy [String]
  def initialize(commitment_policy: "require_encrypt_require_decrypt", **key)
    names = %i[endpoint region access_key_id secret_access_key bucket]
    @request = { **TestStore.settings.slice(*names), **key, commitment_policy: commitment_policy }
  end

  def put(key, body) = call(action: "put", key: key, body: [body].pack("m0"))

  # @return [String] the plaintext
  def get(key) = call(action: "get", key: key)["body"].unpack1("m0")

  # @return [String] path of the Python that has the client and `cryptography`
  def self.python
    version = `python3 --version`[/\d+\.\d+/]
    path = File.expand_path("../../tmp/servers/encryption-client-#{version}/bin/python", __dir__)
    File.exist?(path) ? path : raise("the Python client is not installed; run bin/setup")
  end

  # All requests use one process, because most of the time is its start-up.
  # @param line [String] a request
  # @return [String] the answer
  def self.ask(line)
    LOCK.synchronize do
      @input, @output = start unless @owner == Process.pid
      @input.puts(line)
      answer = @output.gets or raise "the Python client ended"
    ensure
      # If the caller was interrupted, the answer to its request is still to come. It must not become that of the next.
      @owner = nil unless answer
    end
  end

  # The process ends when its standard input is closed, at the latest when this process ends.
  def self.start
    @owner = Process.pid
    inside, input = IO.pipe
    output, outside = IO.pipe
    Process.detach(Process.spawn(python, SCRIPT, in: inside, out: outside))
    [inside, outside].each(&:close)
    [input, output]
  end
  private_class_method :start

  private

  def call(**request)
    answer = JSON.parse(self.class.ask(JSON.generate({ **@request, **request })))
    raise "the Python client failed: #{answer["error"].lines.last(3).join}" if answer["error"]

    answer
  end
end
