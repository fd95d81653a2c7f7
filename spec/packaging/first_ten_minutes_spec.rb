# frozen_string_literal: true

require "fileutils"
require "json"
require "open3"
require "tmpdir"
require_relative "../support/tenant_visits"

# The first commands of a newcomer, in this order, in a new application of the Rails that the specs run on.
RSpec.describe "The first ten minutes with the gem" do
  checkout = File.expand_path("../..", __dir__)

  # Parts of Rails that this application does not need.
  new_application = %w[rails new shop --quiet --skip-bundle --skip-git --skip-javascript --skip-hotwire
                       --skip-asset-pipeline --skip-jbuilder --skip-bootsnap --skip-action-mailbox --skip-action-cable
                       --skip-test]

  before(:context) do
    @folder = Dir.mktmpdir
    @shop = File.join(@folder, "shop")
    @said = {}
    in_project(*new_application)
    choose_gems(checkout)
    ["bundle install --quiet#{" --local" if local?}", "bin/rails active_storage:install",
     "bin/rails generate model Contract title:string", "bin/rails db:migrate",
     "bin/rails generate encrypted_s3_service:install #{generator_options.join(" ")}",
     "bin/rails encrypted_s3_service:doctor"].each { |command| in_shop(command) }
    write("app/models/contract.rb", "class Contract < ApplicationRecord\n  has_one_attached :pdf\nend\n")
  end

  after(:context) { FileUtils.rm_rf(@folder) }

  def settings = TestStore.settings

  def generator_options
    ["--bucket", settings[:bucket], "--region", settings[:region], "--endpoint", settings[:endpoint],
     "--key credentials --default development"]
  end

  # The registry is not asked for installed gems.
  def local? = Bundler.settings[:prefer_local]

  def in_project(*command) = run({}, "bundle", "exec", *command, chdir: @folder)

  # @return [String] all that it printed
  def in_shop(command)
    environment = { "AWS_ACCESS_KEY_ID" => settings[:access_key_id], "RAILS_ENV" => "development",
                    "AWS_SECRET_ACCESS_KEY" => settings[:secret_access_key],
                    "BUNDLE_PREFER_LOCAL" => local? && "true", "BUNDLE_SILENCE_ROOT_WARNING" => "true" }
    Bundler.with_unbundled_env { @said[command] = run(environment, command, chdir: @shop) }
  end

  def run(environment, *command, chdir:)
    said, status = Open3.capture2e(environment.compact, *command, chdir: chdir)
    status.success? ? said : raise("`#{command.join(" ")}` failed:\n#{said}")
  end

  # `bundle add encrypted_s3_service` asks the registry. Development's own gems are left out, since they are not
  # everywhere, and Rails is that of the specs.
  def choose_gems(checkout)
    path = File.join(@shop, "Gemfile")
    lines = File.readlines(path).grep(/\A(?:source|gem "(?:rails|sqlite3|puma)")/)
    lines.map! { |line| line.start_with?('gem "rails"') ? rails_line(line) : line }
    File.write(path, [*lines, "gem \"json\", \"< 3\"\n", "gem \"encrypted_s3_service\", path: #{checkout.dump}\n"].join)
  end

  def rails_line(line) = ENV["RAILS_PATH"] ? "gem \"rails\", path: #{ENV["RAILS_PATH"].dump}\n" : line

  def write(path, text)
    FileUtils.mkdir_p(File.dirname(File.join(@shop, path)))
    File.write(File.join(@shop, path), text)
  end

  def read(path) = File.read(File.join(@shop, path))

  def expect_ciphertext(key, text)
    headers, body = stored(key)
    expect(headers).to include("x-amz-meta-x-amz-3").or include("x-amz-meta-x-amz-key-v2")
    expect(body).not_to include(text)
  end

  it "end with a service in storage.yml, its key in the credentials, and an environment that uses it" do
    expect(read("config/storage.yml")).to match(/^encrypted_amazon:\n +service: EncryptedS3$/)
    expect(in_shop("bin/rails credentials:show")).to match(/^ +encryption_key: /)
    expect(read("config/environments/development.rb"))
      .to match(/^ +config.active_storage.service = :encrypted_amazon$/)
  end

  it "end with a doctor that finds no problem" do
    expect(@said["bin/rails encrypted_s3_service:doctor"]).to match(/\S/)
    expect(@said["bin/rails encrypted_s3_service:doctor"]).not_to match(/^ +FAILED/)
  end

  it "end with a file that is ciphertext in the bucket and plaintext in the application" do
    write("first.rb", <<~RUBY)
      contract = Contract.create!(pdf: { io: StringIO.new("the first contract"), filename: "first.txt" })
      puts contract.pdf.key, contract.reload.pdf.download
    RUBY
    key, text = in_shop("bin/rails runner first.rb").lines(chomp: true).last(2)
    expect(text).to eq("the first contract")
    expect_ciphertext(key, "contract")
  end

  # "Per tenant" of the README, typed into the same application.
  describe "with --tenants" do
    generate = "bin/rails generate encrypted_s3_service:install --tenants"

    before(:context) do
      TenantVisits::FILES.each { |path, text| write(path, text) }
      [generate, "bin/rails db:migrate",
       "sed -i 's/service = :encrypted_amazon/service = :local/' config/environments/development.rb"]
        .each { |command| in_shop(command) }
    end

    it "write the four files of \"Per tenant\", a migration, and the concern that finds the tenant" do
      expect(read("app/models/organisation.rb")).to include(
        "include EncryptedS3Service::Tenant", "encrypts_files_with :encrypted_amazon, if: :encrypted?"
      )
      expect(read("config/initializers/encrypted_s3_service.rb").gsub(/^ +/, "").lines(chomp: true)).to include(
        'config.encrypted_s3_service.current_tenant = "Current.organisation"',
        'config.encrypted_s3_service.active_storage_concerns = "FindsOrganisation"'
      )
      expect(read("app/controllers/application_controller.rb")).to include(
        "  include FindsOrganisation\n  include EncryptedS3Service::Controller\n"
      )
      expect(read("app/jobs/application_job.rb")).to include("  include EncryptedS3Service::Job\n")
      expect(@said[generate]).not_to include("Could not be added")
    end

    it "end with encrypted files of those customers, in forms, jobs, blocks and direct uploads" do
      went = JSON.parse(in_shop("bundle exec ruby visits.rb Organisation").lines.last, symbolize_names: true)
      expect(went.transform_values { |customer| customer[:services] })
        .to eq(TenantVisits.services(encrypting: "encrypted_amazon", plain: "local"))
      expect(went.values.map { |customer| customer[:texts] }).to all(eq(TenantVisits::TEXTS))
      went[:encrypting][:keys].each { |key| expect_ciphertext(key, "a contract") }
    end

    it "still end with a doctor that finds no problem" do
      said = in_shop("bin/rails encrypted_s3_service:doctor")
      expect(said).to match(/^ +ok/)
      expect(said).not_to match(/^ +FAILED/)
    end
  end
end
