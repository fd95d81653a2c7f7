# frozen_string_literal: true

require "json"
require "yaml"
require_relative "../support/open_bao_server"
require_relative "../support/small_app"

# Run in a small application, in processes of its own.
RSpec.describe "bin/rails generate encrypted_s3_service:install" do
  key_pattern = %r{base64:[A-Za-z0-9+/]{43}=}
  credentials = <<~YAML
    # Written by hand: keep.
    secret_key_base: abc # the app's

    aws:
      access_key_id: AKIDEXAMPLE
      secret_access_key: "wJalr+EXAMPLE"
    other: [1, two]
  YAML

  around { |example| SmallApp.create { |app| (@app = app) && example.run } }

  # Rails 8.2 does not boot without a file for its environment when there is one for another.
  before { app.write("config/environments/development.rb", "") }

  attr_reader :app

  def install(*, env: {})
    output, errors, status = app.rails("generate", "encrypted_s3_service:install", *, env: env)
    expect(status).to be_success, output + errors
    output + errors
  end

  def refusal(*, env: {})
    output, errors, status = app.rails("generate", "encrypted_s3_service:install", *, env: env)
    expect(status.exitstatus).to eq(1), output + errors
    output + errors
  end

  # The application's view of its storage.yml.
  def service(name = "encrypted_amazon", env: {})
    script = <<~RUBY
      configuration = ActiveStorage::Blob.services.fetch(#{name.inspect}).client.configuration
      print configuration.to_native.slice(:bucket, :region, :endpoint, :access_key_id, :force_path_style)
                         .merge(key: [configuration.encryption_key.bytes].pack("m0")).to_json
    RUBY
    output, errors, status = app.rails("runner", script, env: env)
    expect(status).to be_success, output + errors
    JSON.parse(output, symbolize_names: true)
  end

  def key_in_credentials = YAML.safe_load(app.credentials).dig("encrypted_s3", "encryption_key")

  # The key, with or without its prefix, is in no output and in no file but the given ones.
  def expect_kept_secret(key, output, except: [])
    bare = key.delete_prefix("base64:")
    expect(output).not_to include(bare)
    expect(app.files.except(*except).select { |_, bytes| bytes.include?(bare) }.keys).to eq([])
  end

  it "leaves the key with OpenBao, and the application gets a reference" do
    output = install("--bucket", "contracts", "--region", "eu-central-1", "--key=openbao")
    expect(output).to include("encrypted_s3_service:wrap_key TRANSIT_KEY=files").and include("Back up the server")
    expect(output + app.files.values.join).not_to match(key_pattern)
    OpenBaoServer.run do |server|
      name = server.transit_key
      environment = { "BAO_ADDR" => server.address, "BAO_TOKEN" => OpenBaoServer::ROOT }
      reference, errors, status = app.rails("encrypted_s3_service:wrap_key", "TRANSIT_KEY=#{name}", env: environment)
      expect(status).to be_success, errors
      script = <<~RUBY
        client = ActiveStorage::Blob.services.fetch("encrypted_amazon").client
        print client.configuration.encryption_key.copy.bytes.bytesize
      RUBY
      size, errors, status = app.rails("runner", script, env: { **environment, "ENCRYPTION_KEY" => reference.chomp })
      expect([size, status.success?]).to eq(["32", true]), errors
      server.api!(:post, "sys/auth/approle", { type: "approle" })
      server.token_for(name)
      server.api!(:post, "auth/approle/role/app", { token_policies: [name] })
      role = { "BAO_ROLE_ID" => server.api!(:get, "auth/approle/role/app/role-id").dig("data", "role_id"),
               "BAO_SECRET_ID" => server.api!(:post, "auth/approle/role/app/secret-id").dig("data", "secret_id") }
      variables = { "BAO_ADDR" => server.address, "ENCRYPTION_KEY" => reference.chomp, **role }
      size, errors, status = app.rails("runner", script, env: variables)
      expect([size, status.success?]).to eq(["32", true]), errors
    end
  end

  it "creates a service that works, with its key in the credentials, and shows the key nowhere" do
    app.credentials = credentials
    output = install("--bucket", "contracts", "--region", "eu-central-1")
    key = key_in_credentials
    expect(key).to match(/\A#{key_pattern}\z/)
    expect_kept_secret(key, output)
    expect(service).to include(bucket: "contracts", region: "eu-central-1", access_key_id: "AKIDEXAMPLE",
                               key: key.delete_prefix("base64:"))
  end

  it "changes nothing else in the credentials, and appends its entry to storage.yml" do
    app.credentials = credentials
    before = app.read("config/storage.yml")
    install
    expect(app.credentials).to start_with(credentials)
    expect(app.credentials.delete_prefix(credentials).lines.map(&:strip))
      .to match(["", "encrypted_s3:", /\Aencryption_key: "#{key_pattern}"\z/])
    expect(app.read("config/storage.yml")).to start_with(before)
  end

  it "creates no second key and changes nothing when it runs again" do
    app.credentials = credentials
    install
    before = app.files.except("log/all.log")
    %w[credentials environment none].each do |place|
      expect(install("--key", place)).to include("exist  an entry with `service: EncryptedS3` in config/storage.yml")
        .and(satisfy { |output| !output.match?(/base64:/) })
    end
    expect(app.files.except("log/all.log")).to eq(before)
  end

  it "keeps and uses a key that is in the credentials" do
    app.credentials = "#{credentials}encrypted_s3:\n  encryption_key: base64:#{["k" * 32].pack("m0")}\n"
    before = app.credentials
    expect(install).to include("keep  encrypted_s3.encryption_key in config/credentials.yml.enc")
    expect(app.credentials).to eq(before)
    expect(service[:key]).to eq(["k" * 32].pack("m0"))
  end

  it "prints the line for the environment exactly once, and writes it into no file, if there are no credentials" do
    output = install
    expect(output.scan(key_pattern).size).to eq(1)
    expect(output.lines.map(&:chomp).grep(/\AENCRYPTION_KEY=#{key_pattern}\z/).size).to eq(1)
    key = output[key_pattern]
    expect_kept_secret(key, "")
    expect(app.exist?("config/credentials.yml.enc")).to be(false)
    expect(service(env: { "ENCRYPTION_KEY" => key })[:key]).to eq(key.delete_prefix("base64:"))
  end

  it "prints it with --quiet too, because it would be lost otherwise" do
    expect(install("--key", "environment", "--quiet")).to match(/\AENCRYPTION_KEY=#{key_pattern}\n\z/)
  end

  it "does not change the credentials if the key goes into the environment" do
    app.credentials = credentials
    expect(install("--key=environment")).to match(key_pattern)
    expect(app.credentials).to eq(credentials)
    expect(app.read("config/storage.yml")).to include('encryption_key: <%= ENV["ENCRYPTION_KEY"] %>')
  end

  it "creates no key if the environment has one" do
    output = install("--key=environment", env: { "ENCRYPTION_KEY" => "k" * 32 })
    expect(output).to include("keep  ENCRYPTION_KEY of the environment")
    expect(output).not_to match(/base64:/)
  end

  it "creates no key with --key=none" do
    app.credentials = credentials
    expect(install("--key=none")).not_to match(/base64:/)
    expect(app.credentials).to eq(credentials)
    expect(app.read("config/storage.yml")).to include('ENV["ENCRYPTION_KEY"]')
  end

  it "creates no key and writes nothing with --pretend" do
    app.credentials = credentials
    before = app.files.except("log/all.log")
    expect(install("--pretend") + install("--pretend", "--key=environment")).not_to match(/base64:/)
    expect(app.files.except("log/all.log")).to eq(before)
  end

  it "changes nothing if the credentials cannot be decrypted, and says what to do" do
    app.credentials = credentials
    ["0" * 32, "short"].each do |key|
      app.write("config/master.key", key)
      before = app.files.except("log/all.log")
      expect(refusal).to match(/credentials\.yml\.enc cannot be decrypted.*--key=environment/)
      expect(app.files.except("log/all.log")).to eq(before)
    end
  end

  it "says that the key of the credentials is missing" do
    expect(refusal("--key=credentials")).to match(/no key for .*credentials.yml.enc.*master\.key/)
    expect(app.read("config/storage.yml")).not_to include("EncryptedS3")
  end

  it "uses the credentials of the current environment, and mentions environments with their own" do
    app.credentials = credentials
    app.write("config/credentials/production.yml.enc", "not ours")
    expect(install).to match(/credentials of other environments lack this key: production\./)
  end

  it "writes an entry for another store, under another name, with unusual values quoted" do
    install("--name", "vault", "--bucket", "0123", "--endpoint", "https://s3.example.com", "--key=environment")
    expect(service("vault", env: { "ENCRYPTION_KEY" => "k" * 32 }))
      .to include(bucket: "0123", endpoint: "https://s3.example.com", force_path_style: true)
  end

  it "does not replace another service of that name" do
    expect(refusal("--name", "local")).to include("config/storage.yml already has an entry local of another service")
    expect(refusal("--name", "a: b")).to include("--name must consist of")
    expect(app.read("config/storage.yml")).not_to include("EncryptedS3")
  end

  it "refuses a misspelt option, and one with a missing or superfluous value, before it writes anything" do
    before = app.files.except("log/all.log")
    { %w[--buckt contracts] => /Unknown switches "--buckt".*Did you mean\?\s+"--bucket"/m,
      %w[contracts] => /"contracts" is not an option. Name the option, as in --bucket contracts/,
      %w[--bucket --region eu-central-1] => /--bucket needs a value/, %w[--kms-key-id] => /--kms-key-id needs a value/,
      %w[--endpoint s3.example.com] => %r{--endpoint must be a URL like https://s3} }.each do |options, reason|
      expect(refusal("--key=environment", *options)).to match(reason)
    end
    expect(app.files.except("log/all.log")).to eq(before)
  end

  it "writes nothing into an engine, because no application would read it" do
    app.write("engine/lib/engine.rb", "class OwnEngine < Rails::Engine\nend\n")
    app.write("engine/bin/rails", <<~RUBY)
      ENGINE_ROOT = File.expand_path("..", __dir__)
      ENGINE_PATH = File.join(ENGINE_ROOT, "lib/engine")
      APP_PATH = File.expand_path("../../config/application", __dir__)
      require "bundler/setup"
      require "rails"
      require "rails/engine/commands"
    RUBY
    output, errors, status = app.ruby("engine/bin/rails", "generate", "encrypted_s3_service:install")
    expect([output + errors, status.exitstatus]).to match([/This is an engine.*such as #{app.root}/, 1])
    expect(Dir.children(app.path("engine"))).to contain_exactly("bin", "lib")
  end

  it "refuses a storage.yml to which no entry can be appended, before it creates a key" do
    app.credentials = credentials
    { "braces" => "{ test: { service: Disk, root: <%= Rails.root.join('a') %> } }\n",
      "an end" => "---\ntest:\n  service: Disk\n  root: <%= 'a' %>\n...\n",
      "indented entries" => "  test:\n    service: Disk\n    root: a\n" }.each do |form, text|
      app.write("config/storage.yml", text)
      expect(refusal).to include("cannot be appended to config/storage.yml"), form
      expect([app.read("config/storage.yml"), key_in_credentials]).to eq([text, nil])
    end
  end

  it "appends to a storage.yml with comments, anchors, conditions, and Windows line ends" do
    head = "%YAML 1.1\n---\ndefault: &disk\n  service: Disk\n  root: <%= Rails.root.join('a') %> # <%# b %>\n"
    conditions = "<% if Rails.env.test? %>\nlocal:\n  <<: *disk\n<% else %>\nlocal: *disk\n<% end %>\n# end"
    app.write("config/storage.yml", "#{head}#{conditions}".gsub("\n", "\r\n"))
    install("--key=environment", "--bucket", "contracts", "--region", "eu-central-1")
    expect(service(env: { "ENCRYPTION_KEY" => "k" * 32 })).to include(bucket: "contracts")
  end

  it "creates a missing storage.yml, and completes one without a final line end" do
    FileUtils.rm(app.path("config/storage.yml"))
    install("--key=environment")
    expect(service(env: { "ENCRYPTION_KEY" => "k" * 32 })).to include(bucket: "your-own-bucket-development")
    app.write("config/storage.yml", "local:\n  service: Disk\n  root: storage")
    install("--key=environment")
    expect(YAML.load(app.read("config/storage.yml").gsub(/<%=.*?%>/, "")).keys).to eq(%w[local encrypted_amazon])
  end

  it "enables key commitment" do
    install("--key=environment")
    policy = app.read("config/storage.yml")[/^  commitment_policy: (.*)$/, 1]
    expect(policy).to eq("require_encrypt_allow_decrypt")
  end

  it "binds objects to their keys" do
    install("--key=environment")
    expect(app.read("config/storage.yml")[/^  place_binding: (.*)$/, 1]).to eq("require")
  end

  it "adds an initializer with commented settings, and keeps an existing one" do
    install("--key=environment")
    initializer = "config/initializers/encrypted_s3_service.rb"
    expect(app.read(initializer)).to include(%(\n  # config.encrypted_s3_service.base_controller = "Applic))
    app.write(initializer, "# mine\n")
    install
    expect(app.read(initializer)).to eq("# mine\n")
  end

  it "shows only existing settings in the initializer" do
    install("--key=environment")
    code = <<~'RUBY'
      lines = File.readlines("config/initializers/encrypted_s3_service.rb").grep(/^  # config\./)
      lines.each { |line| Rails.application.instance_eval(line.sub("#", "")) }
      puts lines.size
    RUBY
    printed, said, = app.rails("runner", code, env: { "ENCRYPTION_KEY" => "k" * 32 })
    expect(printed.to_i).to be >= 5, said
  end

  it "makes it the default service with the option for that" do
    configure = "Rails.application.configure do\n"
    local = "#{configure}  config.active_storage.service = :local\n  config.force_ssl = true\nend\n"
    app.write("config/environments/production.rb", local)
    app.write("config/environments/staging.rb", "#{configure}end\n")
    install("--key=environment", "--default", "production", "staging")
    line = "  config.active_storage.service = :encrypted_amazon\n"
    expect(app.read("config/environments/production.rb")).to eq("#{configure}#{line}  config.force_ssl = true\nend\n")
    expect(app.read("config/environments/staging.rb")).to eq("#{configure}#{line}end\n")
  end

  it "uses production as the environment, and refuses an unknown one" do
    expect(refusal("--default")).to include("--default: config/environments/production.rb does not exist")
    app.write("config/environments/production.rb", "Rails.application.configure do\nend\n")
    expect(install("--key=environment", "--default")).to include("Next: run `bin/rails encrypted_s3_service:doctor`")
    expect(app.read("config/environments/production.rb")).to include("service = :encrypted_amazon")
  end

  it "says which environments do not read config/storage.yml" do
    app.write("config/storage/production.yml", "local:\n  service: Disk\n  root: storage\n")
    expect(install("--key=environment"))
      .to include("In production, Rails reads config/storage/production.yml instead of config/storage.yml. Copy the " \
                  "entry `encrypted_amazon` into it")
  end

  it "does not make a service the default that is not in storage.yml" do
    production = "Rails.application.configure do\nend\n"
    app.write("config/environments/production.rb", production)
    install("--key=environment", "--name", "vault")
    expect(refusal("--default")).to include("no entry encrypted_amazon. Give that entry's name as --name")
    expect(app.read("config/environments/production.rb")).to eq(production)
    expect(refusal("--name", "second", "--bucket", "b")).to include("no entry second").and include("entry by hand")
    install("--name", "vault", "--default")
    expect(app.read("config/environments/production.rb")).to include("  config.active_storage.service = :vault\n")
  end

  it "makes it the default in any form of file, or says where to do that by hand" do
    forms = { "old" => "Shop::Application.configure do\r\nend\r\n",
              "lines" => "Rails.application.configure do\n  config.active_storage.service =\n    :local\nend\n",
              "choice" => "Rails.application.configure do\n  config.active_storage.service = if true\n    :a\n  " \
                          "else\n    :local\n  end\nend\n",
              "branches" => "Rails.application.configure do\n  if true\n    config.active_storage.service = :a\n  " \
                            "else\n    config.active_storage.service = :local\n  end\nend\n",
              "condition" => "Rails.application.configure do\n  " \
                             "config.active_storage.service = :a unless ENV[\"LOCAL\"]\nend\n",
              "tabs" => "Rails.application.configure do\n\tconfig.active_storage.service = :local\nend\n",
              "odd" => "Rails.application.config.tap do |config|\n  config.force_ssl = true\nend\n" }
    forms.each { |name, text| app.write("config/environments/#{name}.rb", text) }
    output = install("--key=environment", "--default", *forms.keys)
    line = "config.active_storage.service = :encrypted_amazon"
    expect(app.read("config/environments/old.rb")).to include("configure do\r\n  #{line}\n")
    expect(app.read("config/environments/tabs.rb")).to eq("Rails.application.configure do\n\t#{line}\nend\n")
    %w[lines choice branches condition odd].each do |name|
      expect(app.read("config/environments/#{name}.rb")).to eq(forms[name])
      expect(output).to match(%r{Next: set `#{line}` in .*config/environments/#{name}\.rb})
    end
  end

  it "keeps a changed entry and initializer when it is revoked, and says so" do
    install("--key=environment", "--bucket", "contracts")
    initializer = "config/initializers/encrypted_s3_service.rb"
    setting = "Rails.application.config.encrypted_s3_service.direct_uploads = false\n"
    app.write(initializer, "#{app.read(initializer)}\n#{setting}")
    before = app.files.except("log/all.log")
    output, = app.rails("destroy", "encrypted_s3_service:install", "--key=environment")
    expect(output).to match(/keep +config.storage\.yml: it has no entry that this generator writes/)
      .and match(/keep +#{initializer}, which has its own settings/)
    expect(app.files.except("log/all.log")).to eq(before)
  end

  it "removes the entry and the initializer when it is revoked, but not the key" do
    app.credentials = credentials
    before = app.read("config/storage.yml")
    install
    key = key_in_credentials
    app.rails("destroy", "encrypted_s3_service:install")
    expect(app.read("config/storage.yml")).to eq(before)
    expect(app.exist?("config/initializers/encrypted_s3_service.rb")).to be(false)
    expect(key_in_credentials).to eq(key)
  end

  it "creates no key with a key in AWS KMS" do
    arn = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    app.credentials = credentials
    output = install("--bucket", "contracts", "--kms-key-id", arn)
    expect(output).not_to match(key_pattern)
    expect(key_in_credentials).to be_nil
    script = <<~RUBY
      puts ActiveStorage::Blob.services.fetch("encrypted_amazon").client.configuration.encryption_key.id
    RUBY
    expect(app.rails("runner", script).first.lines(chomp: true)).to include(arn)
    expect(refusal("--name", "other", "--kms-key-id", arn, "--key", "none")).to include("cannot both be given")
    expect(refusal("--name", "other", "--kms-key-id", "no key")).to include("--kms-key-id must be the id")
  end
end
