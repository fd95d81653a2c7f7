# frozen_string_literal: true

require "json"
require_relative "../support/http_answers"

# Without credentials in storage.yml they come from the sources of Amazon's tools.
RSpec.describe EncryptedS3Service::Client, "without credentials in its settings" do
  # None of the sources below is asked unless an example names it.
  blank = { "AWS_ACCESS_KEY_ID" => nil, "AWS_SECRET_ACCESS_KEY" => nil, "AWS_SESSION_TOKEN" => nil,
            "AWS_PROFILE" => nil, "AWS_REGION" => nil, "AWS_DEFAULT_REGION" => nil,
            "AWS_CONFIG_FILE" => "/nonexistent/config", "AWS_SHARED_CREDENTIALS_FILE" => "/nonexistent/credentials",
            "AWS_EC2_METADATA_DISABLED" => "true" }

  def with_environment(values)
    before = values.to_h { |name, _| [name, ENV.fetch(name, nil)] }
    ENV.update(values)
    yield
  ensure
    ENV.update(before)
  end

  around { |example| with_environment(blank) { example.run } }

  let(:id) { server.access_key_id }
  let(:secret) { server.secret_access_key }

  def credentials
    JSON.generate({ AccessKeyId: id, SecretAccessKey: secret, Token: "", Code: "Success", Type: "AWS-HMAC",
                    Expiration: "2099-01-01T00:00:00Z", LastUpdated: "2020-01-01T00:00:00Z" })
  end

  def expect_to_work(**settings)
    client = new_client(access_key_id: nil, secret_access_key: nil, **settings)
    client.upload(key = unique_key, StringIO.new("found"))
    expect(client.download(key)).to eq("found")
    client.delete(key)
  end

  it "uses those of the environment" do
    with_environment("AWS_ACCESS_KEY_ID" => id, "AWS_SECRET_ACCESS_KEY" => secret) { expect_to_work }
  end

  it "uses the endpoint and the region of the environment or a profile too, unless the settings have their own" do
    elsewhere = { endpoint: nil, region: nil }
    with_environment("AWS_ACCESS_KEY_ID" => id, "AWS_SECRET_ACCESS_KEY" => secret, "AWS_REGION" => server.region) do
      %w[AWS_ENDPOINT_URL AWS_ENDPOINT_URL_S3].each do |name|
        with_environment(name => server.endpoint) { expect_to_work(**elsewhere) }
        with_environment(name => "http://127.0.0.1:9") { expect_to_work }
      end
    end
    Tempfile.create("config") do |file|
      file.write("[profile spec]\naws_access_key_id = #{id}\naws_secret_access_key = #{secret}\n" \
                 "region = #{server.region}\nendpoint_url = #{server.endpoint}\n")
      file.flush
      with_environment("AWS_CONFIG_FILE" => file.path) { expect_to_work(**elsewhere, profile: "spec") }
    end
  end

  it "takes an empty variable for a missing one, as templates of containers set them" do
    missing = { "AWS_ENDPOINT_URL_S3" => "", "AWS_PROFILE" => "", "AWS_REGION" => "" }
    with_environment("AWS_ACCESS_KEY_ID" => id, "AWS_SECRET_ACCESS_KEY" => secret, **missing) do
      values = { "AWS_ENDPOINT_URL" => server.endpoint, "AWS_DEFAULT_REGION" => server.region }
      with_environment(values) { expect_to_work(endpoint: nil, region: nil) }
      with_environment("AWS_ENDPOINT_URL" => "", "AWS_DEFAULT_REGION" => "") do
        expect { expect_to_work(endpoint: nil, region: nil) }
          .to raise_error(EncryptedS3Service::ConfigurationError, /no region/)
        Tempfile.create("config") do |file|
          file.write("[default]\nregion = #{server.region}\nendpoint_url = #{server.endpoint}\n")
          file.flush
          with_environment("AWS_CONFIG_FILE" => file.path) { expect_to_work(endpoint: nil, region: nil) }
        end
      end
    end
  end

  it "names the variables of an endpoint that is no URL" do
    ["localhost:9000", "https://", "nonsense", " "].each do |value|
      with_environment("AWS_ACCESS_KEY_ID" => id, "AWS_SECRET_ACCESS_KEY" => secret, "AWS_ENDPOINT_URL" => value) do
        expect { expect_to_work(endpoint: nil) }
          .to raise_error(EncryptedS3Service::ConfigurationError, /AWS_ENDPOINT_URL.*begins with http/)
      end
    end
  end

  it "reads no retries from the environment, whatever is written there for other tools" do
    with_environment("AWS_ACCESS_KEY_ID" => id, "AWS_SECRET_ACCESS_KEY" => secret, "AWS_RETRY_MODE" => "legacy",
                     "AWS_MAX_ATTEMPTS" => "") { expect_to_work }
  end

  %w[AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY].each do |name|
    it "says that #{name} ends with a line end" do
      given = { "AWS_ACCESS_KEY_ID" => id, "AWS_SECRET_ACCESS_KEY" => secret }
      with_environment(given.merge(name => "#{given[name]}\n")) do
        what = name.delete_prefix("AWS_").downcase.tr("_", " ")
        expect { new_client(access_key_id: nil, secret_access_key: nil).exist?("a") }
          .to raise_error(EncryptedS3Service::AccessError, /the #{what} contains a line end/) { |e|
            expect(e.message).not_to include(secret)
          }
      end
    end
  end

  it "uses those of a profile, from AWS_PROFILE or the setting, with its region" do
    Tempfile.create("credentials") do |file|
      file.write("[spec]\naws_access_key_id = #{id}\naws_secret_access_key = #{secret}\nregion = #{server.region}\n")
      file.close
      with_environment("AWS_SHARED_CREDENTIALS_FILE" => file.path) do
        expect_to_work(profile: "spec", region: nil)
        with_environment("AWS_PROFILE" => "spec") { expect_to_work }
      end
    end
  end

  it "uses those of its container's role" do
    HttpAnswers.run(->(_line) { credentials }) do |url|
      with_environment("AWS_CONTAINER_CREDENTIALS_FULL_URI" => "#{url}/role") { expect_to_work }
    end
  end

  def with_roles(roles, &)
    answers = lambda do |line|
      case line
      when %r{\APUT /latest/api/token } then "a-token"
      when %r{\AGET /latest/meta-data/iam/security-credentials/? } then roles
      when %r{\AGET /latest/meta-data/iam/security-credentials/spec-role } then credentials
      end
    end
    HttpAnswers.run(answers) do |url|
      with_environment("AWS_EC2_METADATA_DISABLED" => nil, "AWS_EC2_METADATA_SERVICE_ENDPOINT" => url, &)
    end
  end

  it "uses those of the instance's role" do
    with_roles("spec-role") { expect_to_work }
  end

  ["spec-role\n", "spec-role\r\nother-role\r\n"].each do |roles|
    it "uses those of the first role where a cloud names roles in lines: #{roles.inspect}" do
      with_roles(roles) { expect_to_work }
    end
  end

  ["", "<html> </html>"].each do |roles|
    it "says that there are none where a cloud names no role: #{roles.inspect}" do
      with_roles(roles) do
        expect { new_client(access_key_id: nil, secret_access_key: nil).exist?("a") }
          .to raise_error(EncryptedS3Service::AccessError, /no AWS credentials/)
      end
    end
  end

  it "uses those of a web identity" do
    answer = <<~XML
      <AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
        <AssumeRoleWithWebIdentityResult><Credentials>
          <AccessKeyId>#{id}</AccessKeyId><SecretAccessKey>#{secret}</SecretAccessKey><SessionToken></SessionToken>
          <Expiration>2099-01-01T00:00:00Z</Expiration>
        </Credentials></AssumeRoleWithWebIdentityResult>
      </AssumeRoleWithWebIdentityResponse>
    XML
    Tempfile.create("token") do |token|
      token.write("a-token")
      token.close
      HttpAnswers.run(->(line) { answer if line.start_with?("POST") }) do |url|
        with_environment("AWS_WEB_IDENTITY_TOKEN_FILE" => token.path, "AWS_ENDPOINT_URL_STS" => url,
                         "AWS_ROLE_ARN" => "arn:aws:iam::123456789012:role/spec") { expect_to_work }
      end
    end
  end

  it "names the empty variable that leaves no address for exchanging a token or a role" do
    Tempfile.create("files") do |file|
      file.write("[spec]\nrole_arn = arn:aws:iam::123456789012:role/spec\nsource_profile = keys\nregion = eu-west-1\n" \
                 "[keys]\naws_access_key_id = #{id}\naws_secret_access_key = #{secret}\n")
      file.close
      [{ "AWS_WEB_IDENTITY_TOKEN_FILE" => file.path, "AWS_ROLE_ARN" => "arn:aws:iam::123456789012:role/spec" },
       { "AWS_SHARED_CREDENTIALS_FILE" => file.path, "AWS_PROFILE" => "spec" }].each do |source|
        with_environment("AWS_ENDPOINT_URL" => "", **source) do
          expect { new_client(access_key_id: nil, secret_access_key: nil).exist?("a") }
            .to raise_error(EncryptedS3Service::AccessError, /AWS_ENDPOINT_URL is empty.*; unset it/)
        end
      end
    end
  end

  it "raises if there are none" do
    client = new_client(access_key_id: nil, secret_access_key: nil)
    expect { client.download("a") }
      .to raise_error(EncryptedS3Service::AccessError, /no AWS credentials: set access_key_id/)
  end

  it "raises if there is neither a region nor an endpoint" do
    client = new_client(endpoint: nil, region: nil)
    expect { client.download("a") }.to raise_error(EncryptedS3Service::ConfigurationError, /region/)
  end
end
