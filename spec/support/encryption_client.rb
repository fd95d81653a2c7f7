# frozen_string_literal: true

require "json"
require "open3"

# Amazon's S3 encryption client for Python, which writes and reads the V3 format. The Ruby one that does is not among
# the gems that the specs have.
class EncryptionClient
  SCRIPT = File.expand_path("encryption_client.py", __dir__)

  # @param key [Hash] `wrapping_key:` (Base64), `private_key_pem:`, or `kms_key_id:`, `kms_endpoint:` and perhaps
  #   `encryption_context:`
  # @param commitment_policy [String]
  def initialize(commitment_policy: "require_encrypt_require_decrypt", **key)
    names = %i[endpoint region access_key_id secret_access_key bucket]
    @request = { **TestStore.settings.slice(*names), **key, commitment_policy: commitment_policy }
  end

  def put(key, body) = call(action: "put", key: key, body: [body].pack("m0"))

  # @return [String] the plaintext
  def get(key) = call(action: "get", key: key)["body"].unpack1("m0")

  # The Python that has the client, and `cryptography` with it.
  # @return [String] its path
  def self.python
    version = `python3 --version`[/\d+\.\d+/]
    path = File.expand_path("../../tmp/servers/encryption-client-#{version}/bin/python", __dir__)
    File.exist?(path) ? path : raise("the Python client is not installed; run bin/setup")
  end

  private

  def call(**request)
    input = JSON.generate({ **@request, **request })
    answer, log, status = Open3.capture3(self.class.python, SCRIPT, stdin_data: input)
    raise "the Python client failed: #{log.lines.last(3).join}" unless status.success?

    JSON.parse(answer)
  end
end
