# frozen_string_literal: true

require_relative "../support/custody"
require_relative "../support/http_answers"

RSpec.describe EncryptedS3Service::OpenBao do
  include Custody

  let(:key) { bao.transit_key }
  let(:bytes) { SecureRandom.bytes(32) }
  let(:reference) { reference_to(key, bytes) }

  def unwrapped(reference = self.reference) = EncryptedS3Service.key_custodian.unwrap(reference.split("#").first)

  def error_of
    yield
    nil
  rescue EncryptedS3Service::Error => e
    e
  end

  it "wraps a key into a reference that does not contain it, and unwraps it" do
    use_open_bao
    expect(reference).to match(%r{\Aopenbao:#{key}:vault:v1:[A-Za-z0-9+/=]+#\h{16}\z})
    expect(reference).to end_with("##{EncryptedS3Service::EncryptionKey.new(bytes).id}")
    expect(reference.unpack1("m").b + reference.b).not_to include(bytes)
    expect(unwrapped).to eq(bytes)
  end

  it "does not create a missing transit key" do
    client = use_open_bao
    expect { client.wrap(bytes, key: "not-there") }
      .to raise_error(EncryptedS3Service::ConfigurationError,
                      %r{has no transit key `not-there`.*bao write -f transit/keys/not-there})
    expect(bao.api(:get, "transit/keys/not-there").first).to eq(404)
  end

  it "shows neither token nor login in any text that Ruby makes of it" do
    client = described_class.new(address: bao.address, app_role: { role_id: "r0le", secret_id: "s3cret" })
    texts = [client.inspect, client.to_s, client.to_json, [client].inspect]
    expect(texts.join).to include(bao.address).and(satisfy { |text| !text.match?(/r0le|s3cret/) })
    expect { Marshal.dump(client) }.to raise_error(TypeError, /secrets/)
  end

  describe "responses with errors of their own" do
    before { use_open_bao }

    it "are those about a deleted transit key, which is permanent" do
      bao.destroy(reference && key)
      expect(error_of { unwrapped }).to be_a(EncryptedS3Service::KeyDestroyedError)
        .and have_attributes(message: /has no transit key `#{key}`.*permanently unreadable/, retryable?: false)
    end

    it "are those about a removed version of the transit key, which is permanent" do
      reference
      bao.api!(:post, "transit/keys/#{key}/rotate")
      bao.api!(:post, "transit/keys/#{key}/config", { min_decryption_version: 2, min_encryption_version: 2 })
      bao.api!(:post, "transit/keys/#{key}/trim", { min_available_version: 2 })
      expect(error_of { unwrapped }).to be_a(EncryptedS3Service::KeyDestroyedError)
        .and have_attributes(message: /version of the transit key `#{key}`.*was removed/)
    end

    it "are those about a version that may not decrypt, which can be allowed again" do
      reference
      bao.api!(:post, "transit/keys/#{key}/rotate")
      bao.api!(:post, "transit/keys/#{key}/config", { min_decryption_version: 2 })
      expect(error_of { unwrapped }).to be_a(EncryptedS3Service::CustodianDeniedError)
        .and have_attributes(message: /min_decryption_version revokes it/)
      bao.api!(:post, "transit/keys/#{key}/config", { min_decryption_version: 1 })
      expect(unwrapped).to eq(bytes)
    end

    it "are those about a soft-deleted key, which can be restored" do
      reference
      bao.api!(:post, "transit/keys/#{key}/config", { deletion_allowed: true })
      bao.api!(:delete, "transit/keys/#{key}/soft-delete")
      expect(error_of { unwrapped }).to be_a(EncryptedS3Service::CustodianDeniedError)
        .and have_attributes(message: /soft-deleted/)
    end

    it "are those about a key that was made again, and a changed reference" do
      reference
      bao.destroy(key)
      bao.api!(:post, "transit/keys/#{key}")
      expect(error_of { unwrapped }).to be_a(EncryptedS3Service::UnwrapError)
        .and have_attributes(message: /deleted and created again, or the reference was changed/)
    end

    it "are those about another mount and a missing namespace" do
      use_open_bao(mount: "transit/elsewhere")
      expect(error_of do
               unwrapped
             end).to be_a(EncryptedS3Service::ConfigurationError).and have_attributes(message: /no transit engine/)
      use_open_bao(namespace: "nowhere")
      expect(error_of do
               unwrapped
             end).to be_a(EncryptedS3Service::ConfigurationError).and have_attributes(message: /namespace does not/)
    end

    it "are those about a token without permission, and an invalid one" do
      [bao.token_for(bao.transit_key), "wrong"].each do |token|
        use_open_bao(token: token)
        expect(error_of { unwrapped }).to be_a(EncryptedS3Service::CustodianDeniedError)
          .and have_attributes(message: /403 permission denied.*policy/, retryable?: false)
        expect(error_of { unwrapped }.message).not_to include(token)
      end
    end

    it "are those of a sealed server, which gets no second request" do
      OpenBaoServer.run do |server|
        reference = reference_to(server.transit_key, server: server)
        server.api!(:post, "sys/seal")
        use_open_bao(server)
        expect(error_of { unwrapped(reference) }).to be_a(EncryptedS3Service::CustodianError)
          .and have_attributes(message: /is sealed. Unseal it/, retryable?: true)
      end
    end
  end

  describe "the time limit" do
    def drip(socket)
      loop { socket.write("H") && sleep(0.05) }
    rescue SystemCallError
      nil
    end

    it "ends a connection that is not accepted" do
      port = TCPServer.open("127.0.0.1", 0) { |listener| listener.addr[1] }
      use_custodian(described_class.new(address: "http://127.0.0.1:#{port}", token: "t"))
      expect(error_of { unwrapped }).to be_a(EncryptedS3Service::CustodianError)
        .and have_attributes(message: /127.0.0.1:#{port} cannot be reached: connection refused.*time to live/)
    end

    it "ends a response that arrives byte by byte, headers included" do
      listener = TCPServer.new("127.0.0.1", 0)
      dripping = Thread.new { loop { Thread.new(listener.accept) { |socket| drip(socket) } } }
      use_custodian(described_class.new(address: "http://127.0.0.1:#{listener.addr[1]}", token: "t", time_limit: 0.5))
      began = Process.clock_gettime(Process::CLOCK_MONOTONIC)
      expect(error_of do
               unwrapped
             end).to be_a(EncryptedS3Service::CustodianError).and have_attributes(message: /within 0.5 seconds/)
      expect(Process.clock_gettime(Process::CLOCK_MONOTONIC) - began).to be < 3
    ensure
      dripping&.kill
      listener&.close
    end

    it "does not prevent Timeout and Thread#kill from ending a request" do
      listener = TCPServer.new("127.0.0.1", 0)
      use_custodian(described_class.new(address: "http://127.0.0.1:#{listener.addr[1]}", token: "t", read_timeout: 60,
                                        time_limit: 60))
      expect { Timeout.timeout(0.2) { unwrapped } }.to raise_error(Timeout::Error)
      asking = Thread.new { unwrapped }
      Thread.pass until asking.status == "sleep"
      expect(asking.kill.join(2)).to eq(asking)
    ensure
      listener&.close
    end
  end

  describe "a temporary error" do
    # 412: a node of Vault that has not received the token yet; 522: a proxy in front of the server.
    ["503 Unavailable", "412 Precondition Failed", "522 Timed Out"].each do |status|
      it "is retried once: #{status}" do
        requests = []
        HttpAnswers.run(->(_) { [status, %({"errors":["try later"]})] }, requests: requests) do |url|
          use_custodian(described_class.new(address: url, token: "t"))
          expect(error_of { unwrapped }).to be_instance_of(EncryptedS3Service::CustodianError)
            .and have_attributes(message: /answered #{status[/\d+/]} try later/)
        end
        expect(requests.size).to eq(2)
      end
    end

    it "does not include redirects, which would get the token" do
      requests = []
      HttpAnswers.run(->(_) { ["307 Moved\r\nlocation: http://127.0.0.1:1/", "{}"] }, requests: requests) do |url|
        use_custodian(described_class.new(address: url, token: "t"))
        expect(error_of { unwrapped }.message).to match(/redirects to another server/)
      end
      expect(requests.size).to eq(1)
    end
  end

  describe "login" do
    before(:context) do
      bao.api(:post, "sys/auth/approle", { type: "approle" })
      bao.api(:post, "sys/auth/jwt", { type: "jwt" })
      bao.api(:post, "sys/auth/kubernetes", { type: "kubernetes" })
    end

    def role(ttl: "1h")
      bao.token_for(key)
      name = "role-#{SecureRandom.hex(4)}"
      bao.api!(:post, "auth/approle/role/#{name}", { token_policies: [key], token_ttl: ttl })
      { role_id: bao.api!(:get, "auth/approle/role/#{name}/role-id").dig("data", "role_id"),
        secret_id: bao.api!(:post, "auth/approle/role/#{name}/secret-id").dig("data", "secret_id") }
    end

    def signed_jwt(claims, pair = OpenSSL::PKey::RSA.new(2048))
      times = { iat: Time.now.to_i, exp: Time.now.to_i + 600 }
      parts = [{ alg: "RS256", typ: "JWT" }, { **claims, **times }].map do |part|
        base64url(JSON.generate(part))
      end.join(".")
      "#{parts}.#{base64url(pair.sign("SHA256", parts))}"
    end

    def base64url(text) = [text].pack("m0").tr("+/", "-_").delete("=")

    def logins(path = "auth/approle/login") = bao.requests(path)

    it "by AppRole is made once for many keys" do
      use_open_bao(app_role: role)
      before = logins
      3.times { expect(unwrapped).to eq(bytes) }
      expect(logins - before).to eq(1)
    end

    it "is repeated before its token expires, and after the token was revoked" do
      use_open_bao(app_role: role(ttl: "1s"))
      expect(unwrapped).to eq(bytes)
      sleep 1
      expect(unwrapped).to eq(bytes)
      use_open_bao(app_role: role)
      unwrapped
      before = logins
      bao.api!(:put, "sys/leases/revoke-prefix/auth/approle", {})
      expect(unwrapped).to eq(bytes)
      expect(logins - before).to eq(1)
    end

    it "is repeated only once if the server continues to refuse" do
      other = bao.transit_key
      credentials = role
      use_open_bao(app_role: credentials)
      before = [logins, bao.decryptions(other)]
      expect(error_of { unwrapped(reference_to(other)) }).to be_a(EncryptedS3Service::CustodianDeniedError)
      expect([logins, bao.decryptions(other)].zip(before).map { |now, past| now - past }).to eq([2, 2])
    end

    it "that fails is reported by name, without the secret" do
      use_open_bao(app_role: { **role, secret_id: "s3cret" })
      expect(error_of { unwrapped }).to be_a(EncryptedS3Service::CustodianDeniedError)
        .and have_attributes(message: satisfy do |text|
                                        text.match?(%r{login at auth/approle}) && !text.include?("s3cret")
                                      end)
    end

    it "reads the secret and a token from files, and reads a renewed token again" do
      Dir.mktmpdir do |folder|
        credentials = role
        path = File.join(folder, "secret")
        File.write(path, "#{credentials[:secret_id]}\n")
        use_open_bao(app_role: { **credentials, secret_id: "file:#{path}" })
        expect(unwrapped).to eq(bytes)
        File.write(path, "expired")
        use_open_bao(token_file: path)
        expect(error_of { unwrapped }).to be_a(EncryptedS3Service::CustodianDeniedError)
        File.write(path, bao.token_for(key))
        expect(unwrapped).to eq(bytes)
      end
    end

    it "accepts a token and a login with a final line break" do
      credentials = role
      use_open_bao(app_role: credentials.transform_values { |value| "#{value}\n" })
      expect(unwrapped).to eq(bytes)
      token = bao.token_for(key)
      ["#{token}\n", -> { "#{token}\r\n" }].each do |given|
        use_open_bao(token: given)
        expect(unwrapped).to eq(bytes)
      end
    end

    # The API server of Kubernetes is a stand-in. It answers only OpenBao's question (TokenReview).
    it "by Kubernetes sends the token of the pod's service account" do
      account = "system:serviceaccount:web:rails"
      review = JSON.generate(apiVersion: "authentication.k8s.io/v1", kind: "TokenReview",
                             status: { authenticated: true, user: { username: account, uid: "1" } })
      jwt = signed_jwt({ "kubernetes.io" => { namespace: "web", serviceaccount: { name: "rails", uid: "1" } },
                         iss: "kubernetes/serviceaccount", sub: account })
      bao.token_for(key)
      requests = []
      answer = ->(_) { ["201 Created\r\ncontent-type: application/json", review] }
      HttpAnswers.run(answer, requests: requests) do |url|
        bao.api!(:post, "auth/kubernetes/config", { kubernetes_host: url, token_reviewer_jwt: jwt,
                                                    kubernetes_ca_cert: "-", disable_local_ca_jwt: true })
        bao.api!(:post, "auth/kubernetes/role/app", { bound_service_account_names: "rails", token_policies: [key],
                                                      bound_service_account_namespaces: "web", token_ttl: "1h" })
        Tempfile.create do |file|
          file.write(jwt)
          file.flush
          use_open_bao(kubernetes: { role: "app", token_file: file.path })
          expect(unwrapped).to eq(bytes)
        end
      end
      expect(requests.map(&:line)).to eq(["POST /apis/authentication.k8s.io/v1/tokenreviews HTTP/1.1"])
    end

    it "by a signed JWT needs no Kubernetes" do
      pair = OpenSSL::PKey::RSA.new(2048)
      bao.token_for(key)
      bao.api!(:post, "auth/jwt/config", { jwt_validation_pubkeys: [pair.public_to_pem] })
      bao.api!(:post, "auth/jwt/role/app",
               { role_type: "jwt", user_claim: "sub", bound_audiences: ["bao"], token_policies: [key] })
      jwt = signed_jwt({ sub: "rails", aud: "bao" }, pair)
      Tempfile.create do |file|
        file.write(jwt)
        file.flush
        use_open_bao(kubernetes: { role: "app", token_file: file.path, mount: "jwt" })
        expect(unwrapped).to eq(bytes)
      end
    end

    it "is one of four, whose settings are checked when it is configured" do
      [{}, { token: "t", token_file: "f" }, { app_role: {} }, { app_role: { role_id: "r", password: "p" } },
       { kubernetes: { role: "r", mount: "../sys" } }].each do |options|
        expect do
          described_class.new(address: bao.address,
                              **options)
        end.to raise_error(EncryptedS3Service::ConfigurationError, /OpenBao/)
      end
    end
  end

  it "can use keys of a namespace" do
    name = "team-#{SecureRandom.hex(3)}"
    bao.api!(:post, "sys/namespaces/#{name}")
    bao.api!(:post, "sys/mounts/transit", { type: "transit" }, namespace: name)
    inside = bao.transit_key(namespace: name)
    client = use_open_bao(namespace: name)
    reference = client.wrap(bytes, key: inside)
    expect(unwrapped(reference)).to eq(bytes)
    use_open_bao
    expect(error_of { unwrapped(reference) }).to be_a(EncryptedS3Service::KeyDestroyedError)
  end

  describe "the address" do
    it "must be encrypted, except on this machine or with an explicit option" do
      expect { described_class.new(address: "http://bao.example.com:8200", token: "t") }
        .to raise_error(EncryptedS3Service::ConfigurationError, /must begin with https:.*allow_http/)
      expect(described_class.new(address: "http://bao.example.com:8200", token: "t",
                                 allow_http: true)).to be_a(described_class)
      ["", "bao.example.com", "ftp://bao", "https://user:password@bao.example.com", "https://"].each do |address|
        expect { described_class.new(address: address, token: "t") }
          .to raise_error(EncryptedS3Service::ConfigurationError) { |error|
                expect(error.message).not_to include("password")
              }
      end
    end

    it "is accepted only with a trusted certificate" do
      OpenBaoServer.run(tls: true) do |server|
        own = described_class.new(address: server.address, token: OpenBaoServer::ROOT, ca_file: server.authority)
        reference = own.wrap(bytes, key: server.transit_key)
        use_custodian(own)
        expect(unwrapped(reference)).to eq(bytes)
        use_custodian(described_class.new(address: server.address, token: OpenBaoServer::ROOT, ca_file: "/none.pem"))
        expect(error_of { unwrapped(reference) }).to be_a(EncryptedS3Service::ConfigurationError)
          .and have_attributes(message: %r{ca_file holds no certificates, or cannot be read: /none.pem})
        use_custodian(described_class.new(address: server.address, token: OpenBaoServer::ROOT))
        expect(error_of { unwrapped(reference) }).to be_a(EncryptedS3Service::CustodianError)
          .and have_attributes(message: /TLS failed \(certificate verify failed/)
      end
    end
  end

  it "comes from the environment of OpenBao's own command, and of Vault's" do
    %w[BAO VAULT].each do |prefix|
      variables = { "#{prefix}_ADDR" => bao.address, "#{prefix}_TOKEN" => OpenBaoServer::ROOT }
      before = ENV.to_h
      ENV.update(variables)
      expect(described_class.from_environment.unwrap(reference.split("#").first)).to eq(bytes)
    ensure
      ENV.replace(before)
    end
    expect(described_class.from_environment).to be_nil
  end
end
