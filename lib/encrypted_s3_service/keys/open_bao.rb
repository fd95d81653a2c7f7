# frozen_string_literal: true

require "openssl"
require_relative "../configuration/confidential"
require_relative "../errors"
require_relative "encryption_key"
require_relative "open_bao/connection"
require_relative "open_bao/login"
require_relative "open_bao/transit"
require_relative "reference"
require_relative "secret_bytes"

module EncryptedS3Service
  # The custodian OpenBao, or HashiCorp Vault: a wrapping key is stored in the configuration as the ciphertext of a
  # transit key, and the server decrypts it for clients that may use the transit key.
  #
  #     # config/initializers/encrypted_s3_service.rb
  #     Rails.application.config.encrypted_s3_service.key_custodian = EncryptedS3Service::OpenBao.new(
  #       address: "https://bao.example.com:8200",
  #       app_role: { role_id: ENV["BAO_ROLE_ID"], secret_id: ENV["BAO_SECRET_ID"] }
  #     )
  #
  # Threads may share it, and it can be used after a fork. A request fails after `time_limit` seconds, retries included.
  class OpenBao
    include Confidential

    # Variables of the environment that OpenBao's own command reads, and their former names.
    ENVIRONMENT = {
      address: %w[BAO_ADDR VAULT_ADDR], namespace: %w[BAO_NAMESPACE VAULT_NAMESPACE], token: %w[BAO_TOKEN VAULT_TOKEN],
      ca_file: %w[BAO_CACERT VAULT_CACERT], client_certificate: %w[BAO_CLIENT_CERT VAULT_CLIENT_CERT],
      client_key: %w[BAO_CLIENT_KEY VAULT_CLIENT_KEY]
    }.freeze

    # @return [OpenBao, nil] from `BAO_ADDR`, `BAO_TOKEN` and others; nil when there is no address
    def self.from_environment
      given = ENVIRONMENT.transform_values { |names| ENV.values_at(*names).find { |value| !value.to_s.empty? } }
      return if given[:address].nil?

      @from_environment = [given, new(**given.compact)] unless @from_environment&.first == given
      @from_environment.last
    end

    # @param address [String] URL of the server; `http:` only for this machine, unless `allow_http` is true
    # @param namespace [String, nil]
    # @param mount [String] path of the transit engine
    # @param token [String, #call, nil] a token, or an object whose `call` returns one
    # @param token_file [String, nil] path of a file with a token, for example of an agent; read again when the token is
    #   refused
    # @param app_role [Hash, nil] login by AppRole: `role_id:`, `secret_id:` (may be `file:` and a path), `mount:`
    #   ("approle")
    # @param kubernetes [Hash, nil] login by Kubernetes or JWT: `role:`, `mount:` ("kubernetes"), `token_file:` (that of
    #   the pod's service account)
    # @param ca_file [String, nil] path of the certificates to trust, in PEM, in place of the system's
    # @param client_certificate [String, nil] path of a client certificate in PEM
    # @param client_key [String, nil] path of its key
    # @param open_timeout [Numeric] seconds
    # @param read_timeout [Numeric] seconds
    # @param time_limit [Numeric] seconds for one request, logins and retries included
    # @param allow_http [Boolean] whether keys may cross the network unencrypted
    # @raise [ConfigurationError]
    def initialize(address:, namespace: nil, mount: "transit", token: nil, token_file: nil, app_role: nil,
                   kubernetes: nil, ca_file: nil, client_certificate: nil, client_key: nil, open_timeout: 2,
                   read_timeout: 5, time_limit: 10, allow_http: false)
      tls = { ca_file: ca_file, client_certificate: client_certificate, client_key: client_key }
      limits = { open_timeout: open_timeout, read_timeout: read_timeout, time_limit: time_limit }
      @connection = Connection.new(address, namespace: namespace, tls: tls, limits: limits, allow_http: allow_http)
      login = Login.new(@connection, token: token, token_file: token_file, app_role: app_role, kubernetes: kubernetes)
      @transit = Transit.new(@connection, login, mount)
    end

    # Has the server decrypt a reference.
    # @param reference [String] `openbao:` and the name of the transit key, `:` and the ciphertext
    # @return [String] 32 bytes, binary
    # @raise [KeyDestroyedError] when the transit key, or the version of it, is permanently deleted
    # @raise [CustodianDeniedError] when the server refuses
    # @raise [CustodianError] when it is not available
    # @raise [UnwrapError] when the ciphertext belongs to another transit key
    # @raise [ConfigurationError] when the reference or the address is wrong
    def unwrap(reference)
      key, ciphertext = KeyReference.openbao(reference.to_s)
      raise ConfigurationError, "The reference does not have the form openbao:TRANSIT_KEY:vault:v1:…" unless key

      @transit.decrypt(key, ciphertext)
    end

    # Has the server encrypt a key.
    # @param bytes [String] 32 bytes
    # @param key [String] the name of a transit key that exists
    # @return [String] the reference, with the key id
    # @raise [CustodianError]
    # @raise [ConfigurationError] when there is no such transit key
    def wrap(bytes, key:)
      if bytes.bytesize != EncryptionKey::SIZE
        raise ArgumentError,
              "A wrapping key must have #{EncryptionKey::SIZE} bytes."
      end

      "openbao:#{key}:#{@transit.encrypt(key, bytes)}##{EncryptionKey.id_of(bytes)}"
    end

    # @return [String] for messages
    def name = "OpenBao at #{@connection.place}"

    private

    def public_attributes = { address: @connection.place }
  end
end
