# frozen_string_literal: true

require "open3"
require "rbconfig"
require "shellwords"
require_relative "../support/aws_clients"
require_relative "../support/documents/application"
require_relative "../support/documents/code_block"

# Every block of code in the README and in docs has the result that it claims, or at least runs.
RSpec.describe "The code in the documents" do
  blocks = Documents::CodeBlock.all

  # Programs of the checkout, and other people's.
  def self.outside?(block)
    programs = %r{^(bin/(demo|test|setup|bench)|script/|encrypted_s3_service |aws |export )}
    block.language == "sh" && block.code.match?(programs)
  end

  in_gemfile, others = blocks.partition { |block| block.code.include?("# Gemfile") }
  in_application, others = others.partition do |block|
    %w[ruby yaml erb sh].include?(block.language) && !outside?(block)
  end

  it "names this gem for the Gemfile" do
    names = in_gemfile.flat_map { |block| block.code.scan(/^gem "(.*?)"/).flatten }
    expect(names).to eq([Gem::Specification.load(File.expand_path("../../encrypted_s3_service.gemspec", __dir__)).name])
  end

  before(:context) do
    @apps = in_application.map { SmallApp.new(Dir.mktmpdir("document-")) }
    server.create_bucket(Documents::Application::BUCKET)
    server.create_bucket("files")
    new_client(bucket: "files", encryption_key: Documents::Application::KEY, encryption_key_id: nil)
      .upload("reports/1", StringIO.new("%PDF-1.4 a report"))
    inputs = in_application.zip(@apps).map { |block, app| Documents::Application.prepare(app, block) }
    runner = File.expand_path("../support/documents/runner.rb", __dir__)
    output, errors, = Open3.capture3({ **Documents::Application.environment, "RAILS_ENV" => "development" },
                                     RbConfig.ruby, "-I", SmallApp::LIBRARY, runner,
                                     stdin_data: Marshal.dump(inputs), binmode: true)
    @results = output.empty? ? Hash.new(errors) : Marshal.load(output) # rubocop:disable Security/MarshalLoad
  end

  after(:context) { @apps.each { |app| FileUtils.rm_rf(app.root) } }

  in_application.each do |block|
    it "works in an application: #{block} (#{block.language})" do
      expect(@results.fetch(block.to_s)).to be_nil, -> { "#{block.code}\n#{@results.fetch(block.to_s)}" }
    end
  end

  describe "outside of an application" do
    around { |example| Dir.mktmpdir { |folder| Dir.chdir(folder) { example.run } } }

    before do
      File.write("report.pdf", "%PDF-1.4 a report")
      FileUtils.mkdir_p("config")
      File.write("config/storage.yml", <<~YAML)
        encrypted_amazon:
          service: EncryptedS3
          bucket: contracts
          encryption_key: <%= ENV["ENCRYPTION_KEY"] %>
      YAML
    end

    # The store that an example leaves to the reader's environment.
    def connection = ["--endpoint", TestStore.settings[:endpoint], "--path-style"]

    def run_command(words)
      words += connection if words.any? { |word| word.start_with?("s3://") }
      program = File.expand_path("../../exe/encrypted_s3_service", __dir__)
      Open3.capture2e(Documents::Application.environment, RbConfig.ruby, "-rbundler/setup", "-I", SmallApp::LIBRARY,
                      program, *words)
    end

    # `aws` is not installed by the specs; Amazon's client for Ruby fetches the same.
    def get_object(words)
      bucket, key = words.values_at(words.index("--bucket") + 1, words.index("--key") + 1)
      settings = TestStore.settings.slice(:endpoint, :region, :access_key_id, :secret_access_key, :force_path_style)
      object = Aws::S3::Client.new(**settings).get_object(bucket: bucket, key: key, response_target: "body")
      File.write("body.metadata.json", JSON.generate("Metadata" => object.metadata))
    end

    # Renames an object in the bucket, like an administrator.
    def rename(old, address)
      bucket, new = address.delete_prefix("s3://").split("/", 2)
      run_line("encrypted_s3_service encrypt report.pdf -o s3://#{bucket}/#{old}")
      AwsClients.plain.copy_object(bucket: bucket, key: new, copy_source: "#{bucket}/#{old}")
    end

    # The preconditions of some commands.
    def prepare(words)
      if words.first == "wrap-key"
        OpenBaoServer.shared.api!(:post, "transit/keys/#{words[1]}")
      elsif words.include?("--recovery-key")
        key = OpenSSL::PKey::RSA.new(2048)
        File.write("recovery-key.pem", key.private_to_pem)
        new_client(bucket: "files", recovery_keys: [key.public_to_pem]).upload("abc123",
                                                                               StringIO.new("%PDF-1.4 a report"))
      elsif words.first == "verify-report"
        key = OpenSSL::PKey.generate_key("ED25519")
        File.write("report-public.pem", key.public_to_pem)
        File.write(words[1], "{}")
        File.binwrite("#{words[1]}.sig", key.sign(nil, "{}"))
      end
    end

    def run_line(line)
      words = Shellwords.split(line.sub(/\s+#.*/, ""))
      case words.shift
      when "encrypted_s3_service"
        prepare(words)
        rename(words[words.index("--from") + 1], words[1]) if words.first == "rebind"
        words << "--force" if %w[encrypt decrypt].include?(words.first)
        output, status = run_command(words)
        expect(status).to be_success, "#{line}\n#{output}"
      when "aws" then get_object(words)
      when %r{\A(bin|script)/}
        expect(File.executable?(File.expand_path("../../#{line[/\S+/]}", __dir__))).to be(true), line
      end
    end

    it "the commands of the documents read and write as documented" do
      require "aws-sdk-s3"
      server.create_bucket("files")
      run_line("encrypted_s3_service encrypt report.pdf -o s3://files/abc123")
      lines = blocks.select { |block| self.class.outside?(block) }.flat_map { |block| block.code.lines(chomp: true) }
      lines.grep(/\A(encrypted_s3_service|aws|bin|script)/).each { |line| run_line(line) }
      expect(File.read("report.pdf")).to eq("%PDF-1.4 a report")
    end
  end

  it "has policies that are valid JSON, with actions that can be allowed" do
    policies = others.select { |block| block.language == "json" }.map { |block| JSON.parse(block.code) }
    actions = policies.flat_map { |policy| policy["Statement"] }.flat_map { |statement| statement["Action"] }
    expect(actions).to include("kms:GenerateDataKey", "kms:Decrypt").and all(match(/\A(kms|s3):[A-Z]\w+\z/))
  end

  it "omits no block" do
    run_elsewhere = %w[nginx text http mermaid json] # nginx: spec/serving
    expect(others.reject { |block| self.class.outside?(block) }.map(&:language).uniq - run_elsewhere).to be_empty
    expect(in_application.size).to be > 20
  end
end
