# frozen_string_literal: true

require "digest"
require "json"
require "time"
require "tmpdir"
require_relative "../support/http_answers"

# Profiles of ~/.aws/config work as in Amazon's Ruby SDK.
RSpec.describe EncryptedS3Service::Client, "with a profile that" do
  # None of the sources below is asked unless an example names it.
  names = %w[AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_PROFILE AWS_REGION AWS_DEFAULT_REGION
             AWS_ENDPOINT_URL AWS_SHARED_CREDENTIALS_FILE AWS_WEB_IDENTITY_TOKEN_FILE AWS_ROLE_ARN]
  blank = names.to_h { |name| [name, nil] }.merge("AWS_EC2_METADATA_DISABLED" => "true")

  around do |example|
    Dir.mktmpdir do |home|
      @home = home
      with_environment({ **blank, "HOME" => home, "AWS_CONFIG_FILE" => "#{home}/config" }) { example.run }
    end
  end

  let(:id) { server.access_key_id }
  let(:secret) { server.secret_access_key }
  let(:later) { Time.now + 3600 }

  def with_environment(values)
    before = values.to_h { |name, _| [name, ENV.fetch(name, nil)] }
    ENV.update(values)
    yield
  ensure
    ENV.update(before)
  end

  def home(path) = File.join(@home, path)

  def configure(text) = File.write(home("config"), text)

  # @return [String] a command for the configuration file
  def script(text)
    File.write(home("credentials.sh"), text)
    "/bin/sh #{home("credentials.sh")} --password s3cret"
  end

  def printed(**fields)
    JSON.generate({ Version: 1, AccessKeyId: id, SecretAccessKey: secret, **fields })
  end

  def client(**settings)
    new_client(access_key_id: nil, secret_access_key: nil, profile: "spec", **settings)
  end

  def expect_to_work(client = self.client)
    client.upload(key = unique_key, StringIO.new("found"))
    expect(client.download(key)).to eq("found")
    client.delete(key)
  end

  # Twice: the first attempt must not change the second.
  def expect_to_fail(message, client = self.client)
    2.times do
      expect { client.download("a") }.to raise_error(EncryptedS3Service::AccessError, message) { |error|
        expect(error.message).to include("the profile `spec`")
        expect("#{error.message} #{error.cause&.message} #{error.inspect}").not_to include("s3cret")
      }
    end
  end

  describe "has a credential_process" do
    def process(text) = configure("[profile spec]\ncredential_process = #{script(text)}\n")

    it "uses the credentials that it prints" do
      process("echo '#{printed(Expiration: later.utc.iso8601)}'")
      expect_to_work
    end

    it "prefers the profile to the environment if storage.yml names it, and otherwise the environment" do
      process("echo '#{printed}'")
      with_environment("AWS_ACCESS_KEY_ID" => "another", "AWS_SECRET_ACCESS_KEY" => "another") do
        expect_to_work
        expect { client(profile: nil).download("a") }
          .to raise_error(EncryptedS3Service::AccessError, /InvalidAccessKeyId|SignatureDoesNotMatch/)
      end
      with_environment("AWS_PROFILE" => "spec") { expect_to_work(client(profile: nil)) }
    end

    it "runs it again when the credentials have expired" do
      process("echo x >> #{home("calls")}; echo '#{printed(Expiration: (Time.now + 1).utc.iso8601)}'")
      expect_to_work
      expect(File.readlines(home("calls")).size).to be > 1
    end

    it "names the profile when it fails, without its output" do
      process("echo 'password s3cret is wrong' >&2; exit 3")
      expect_to_fail(/exit status: 3.* by hand/)
    end

    it "names the profile when the command does not exist" do
      configure("[profile spec]\ncredential_process = /nonexistent/s3cret\n")
      expect_to_fail(/exit status: 127.* by hand/)
    end

    ["s3cret", '{"AccessKeyId": s3cret', '{"Version": 1, "AccessKeyId": "s3cret"}',
     '{"Version": 2, "AccessKeyId": "s3cret", "SecretAccessKey": "s3cret"}',
     '{"Version": 1, "AccessKeyId": "s3cret", "SecretAccessKey": "s3cret", "Expiration": "s3cret"}',
     "[]", ""].each do |rubbish|
      it "names the profile when it prints #{rubbish.inspect}" do
        process("cat <<'END'\n#{rubbish}\nEND")
        expect_to_fail(/could not parse response.* by hand/)
      end
    end

    it "gives up within 30 s when it does not end, never starts it twice at once, and accepts a late result" do
      process(<<~SH)
        echo x >> #{home("calls")}
        until [ -e #{home("go")} ]; do sleep 0.1; done
        echo '#{printed}'
      SH
      one = client
      begin
        start = Process.clock_gettime(Process::CLOCK_MONOTONIC)
        expect { one.download("a") }
          .to raise_error(EncryptedS3Service::AccessError,
                          /the profile `spec` .*28 seconds.*`credential_process` does not end/)
        expect(Process.clock_gettime(Process::CLOCK_MONOTONIC) - start).to be < 30
      ensure
        File.write(home("go"), "")
      end
      expect_to_work(one)
      expect(File.readlines(home("calls")).size).to eq(1)
    end
  end

  describe "assumes a role" do
    def sts_answer(number)
      <<~XML
        <AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
          <AccessKeyId>#{number ? "key-#{number}" : id}</AccessKeyId><SecretAccessKey>#{secret}</SecretAccessKey>
          <SessionToken></SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration>
        </Credentials></AssumeRoleResult></AssumeRoleResponse>
      XML
    end

    def sts(answer, requests = [])
      HttpAnswers.run(answer, requests: requests) do |url|
        with_environment("AWS_ENDPOINT_URL_STS" => url) { yield requests }
      end
    end

    def signers(requests) = requests.map { |request| request.headers["authorization"][%r{Credential=([^/]+)}, 1] }

    it "follows the whole chain of source profiles, each role with the credentials of the one before" do
      configure(<<~INI)
        [profile spec]
        role_arn = arn:aws:iam::2:role/last
        source_profile = middle
        external_id = of-them
        role_session_name = files
        [profile middle]
        role_arn = arn:aws:iam::1:role/first
        source_profile = base
        [profile base]
        credential_process = #{script("echo '#{printed(AccessKeyId: "base")}'")}
      INI
      answers = [sts_answer(1), sts_answer(nil)]
      sts(->(_line) { answers.shift }) do |requests|
        expect_to_work
        expect(requests.map { |request| URI.decode_www_form(request.body).to_h }).to match(
          [include("Action" => "AssumeRole", "RoleArn" => "arn:aws:iam::1:role/first"),
           include("RoleArn" => "arn:aws:iam::2:role/last", "ExternalId" => "of-them", "RoleSessionName" => "files")]
        )
        expect(signers(requests)).to eq(%w[base key-1])
      end
    end

    it "uses the credentials of the environment as the source if it says so" do
      configure("[profile spec]\nrole_arn = arn:aws:iam::1:role/r\ncredential_source = Environment\n")
      with_environment("AWS_ACCESS_KEY_ID" => "outer", "AWS_SECRET_ACCESS_KEY" => "s3cret") do
        sts(->(_line) { sts_answer(nil) }) do |requests|
          expect_to_work
          expect(signers(requests)).to eq(%w[outer])
        end
      end
    end

    describe "and is not allowed to" do
      refusal = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>s3cret</Message></Error></ErrorResponse>"
      base = "role_arn = arn:aws:iam::1:role/r\nsource_profile = base\n[profile base]\n" \
             "aws_access_key_id = a\naws_secret_access_key = s3cret\n"

      it "names the profile and the response of the service" do
        configure("[profile spec]\n#{base}")
        sts(->(_line) { ["403 Forbidden", refusal] }) { expect_to_fail(/service error: AccessDenied/) }
      end

      it "says that one-time passwords are not supported" do
        configure("[profile spec]\nmfa_serial = arn:aws:iam::1:mfa/me\n#{base}")
        sts(->(_line) { ["403 Forbidden", refusal] }) { expect_to_fail(/AccessDenied.*`mfa_serial`/) }
      end

      it "says that the service cannot be reached" do
        configure("[profile spec]\n#{base}")
        with_environment("AWS_ENDPOINT_URL_STS" => "http://127.0.0.1:1") { expect_to_fail(/connection refused/) }
      end
    end
  end

  describe "signs in by SSO" do
    url = "https://example.awsapps.com/start"
    role = "sso_account_id = 123456789012\nsso_role_name = files\n"
    forms = { url => "[profile spec]\n#{role}sso_region = us-east-1\nsso_start_url = #{url}\n",
              "work" => "[profile spec]\n#{role}sso_session = work\n" \
                        "[sso-session work]\nsso_region = us-east-1\nsso_start_url = #{url}\n" }

    def token(name, **fields)
      FileUtils.mkdir_p(home(".aws/sso/cache"))
      File.write(home(".aws/sso/cache/#{Digest::SHA1.hexdigest(name)}.json"),
                 JSON.generate({ accessToken: "token-s3cret", expiresAt: later.utc.iso8601, **fields }))
    end

    def role_credentials
      JSON.generate(roleCredentials: { accessKeyId: id, secretAccessKey: secret, sessionToken: "",
                                       expiration: later.to_i * 1000 })
    end

    def portal(answer = ->(_line) { role_credentials }, requests = [])
      HttpAnswers.run(answer, requests: requests) do |address|
        with_environment("AWS_ENDPOINT_URL_SSO" => address, "AWS_ENDPOINT_URL_SSO_OIDC" => address) { yield requests }
      end
    end

    forms.each do |name, configuration|
      describe "(#{configuration.include?("session") ? "sso_session" : "sso_start_url"})" do
        before { configure(configuration) }

        it "uses the role's credentials with the token of `aws sso login`" do
          token(name)
          portal do |requests|
            expect_to_work
            expect(requests.map(&:line)).to all(match(%r{\AGET /federation/credentials\?.*role_name=files}))
            expect(requests.first.headers["x-amz-sso_bearer_token"]).to eq("token-s3cret")
          end
        end

        it "names `aws sso login` without a login" do
          portal { expect_to_fail(/`aws sso login --profile spec`/) }
        end

        it "names `aws sso login` when the token has expired" do
          token(name, expiresAt: "2020-01-01T00:00:00Z")
          refusal = ["401 Unauthorized", JSON.generate(message: "s3cret", __type: "UnauthorizedException")]
          portal(->(_line) { refusal }) { expect_to_fail(/`aws sso login --profile spec`/) }
        end
      end
    end

    it "names the role when the portal refuses it, and does not suggest another login" do
      configure(forms["work"])
      token("work")
      refusal = ["403 Forbidden", JSON.generate(message: "s3cret", __type: "ForbiddenException")]
      portal(->(_line) { refusal }) do
        expect_to_fail(/service error: ForbiddenException\z/)
      end
    end

    it "refreshes the token if it can be refreshed" do
      configure(forms["work"])
      token("work", expiresAt: "2020-01-01T00:00:00Z", refreshToken: "r", clientId: "c", clientSecret: "s",
                    registrationExpiresAt: later.utc.iso8601)
      answer = lambda do |line|
        next role_credentials unless line.start_with?("POST /token")

        JSON.generate(accessToken: "another", expiresIn: 3600, tokenType: "Bearer")
      end
      portal(answer) do |requests|
        expect_to_work
        expect(requests.last.headers["x-amz-sso_bearer_token"]).to eq("another")
      end
    end
  end

  { "login_session = arn:aws:iam::1:user/me" => /`login_session`\) are not supported/,
    "role_arn = arn:aws:iam::1:role/r\ncredential_source = Moon" => /`Moon` provider .* not supported/,
    "role_arn = arn:aws:iam::1:role/r\nsource_profile = gone" => /could not find source profile gone/,
    "role_arn = arn:aws:iam::1:role/r" => /source_profile/,
    "role_arn = arn:aws:iam::1:role/r\nsource_profile = b\n[profile b]\nrole_arn = x\nsource_profile = spec" => /loop/,
    "sso_account_id = 1\nsso_role_name = r\nsso_start_url = https://x.test/" => /sso_region/,
    "sso_session = gone\nsso_account_id = 1\nsso_role_name = r" => /sso-session named `gone`/,
    "aws_access_key_id = a" => /aws_secret_access_key/ }.each do |lines, message|
    it "is invalid is named with the reason: #{lines.lines.last.chomp}" do
      configure("[profile spec]\n#{lines}\n")
      expect_to_fail(message)
    end
  end

  it "is not defined is named" do
    expect_to_fail(/set access_key_id .*is not defined in the files/)
    configure("[profile other]\nregion = us-east-1\n")
    expect_to_fail(/is not defined in the files/)
    with_environment("AWS_PROFILE" => "spec") { expect_to_fail(/is not defined in the files/, client(profile: nil)) }
  end

  it "is not defined on this machine leaves the credentials to the environment" do
    with_environment("AWS_ACCESS_KEY_ID" => id, "AWS_SECRET_ACCESS_KEY" => secret) { expect_to_work }
  end

  it "has no credentials leaves them to the environment" do
    configure("[profile spec]\nregion = #{server.region}\n")
    with_environment("AWS_ACCESS_KEY_ID" => id, "AWS_SECRET_ACCESS_KEY" => secret) do
      expect_to_work(client(region: nil))
    end
  end

  it "is corrected works without a restart" do
    configure("[profile spec]\nlogin_session = arn:aws:iam::1:user/me\n")
    one = client
    expect { one.download("a") }.to raise_error(EncryptedS3Service::AccessError)
    configure("[profile spec]\naws_access_key_id = #{id}\naws_secret_access_key = #{secret}\n")
    expect_to_work(one)
  end
end
