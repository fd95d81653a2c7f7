# frozen_string_literal: true

# Runs the code of documents, each block in its own process and with its own application folder. Rails is loaded once,
# before the processes fork.
# Reads an Array of Hashes from standard input, and writes a Hash to standard output: the error of each block by its id,
# or nil.

require "bundler/setup"
require "stringio"
require "tempfile"
require "rails"
require "active_record/railtie"
require "active_job/railtie"
require "action_controller/railtie"
require "action_view/railtie"
require_relative "../untrusted_images"
require "active_storage/engine"
require "action_text/engine"
require "encrypted_s3_service"
require "encrypted_s3_service/engine"
require "rails/generators"
require "active_support/test_case"
require "minitest"
require "rspec/core"
require "rspec/expectations"
require "aws-sdk-s3"

# Names that the code of a document may use besides its own definitions.
module DocumentNames
  module_function

  def organisation = @organisation ||= Organisation.create!(name: "Example", encrypted: true)

  def contract
    @contract ||= Contract.create!(Contract.method_defined?(:organisation=) ? { organisation: organisation } : {})
  end

  def file = StringIO.new("%PDF-1.4 an example")
  def out = @out ||= StringIO.new
  def socket = out
  def service = ActiveStorage::Blob.services.fetch(:encrypted_amazon)
  def key = ENV.fetch("ENCRYPTION_KEY").delete_prefix("base64:").unpack1("m0")
  def master_key = ENV.fetch("MASTER_KEY")
end

# Runs one block in its application.
class DocumentRun
  def initialize(block)
    @block = block
  end

  def call
    boot
    case @block[:language]
    when "yaml" then build_services
    when "erb" then render
    when "sh" then @block[:script].each_line(chomp: true) { |line| command(line) }
    else DocumentNames.module_eval(@block[:script], @block[:id], 1)
    end
    run_tests
  end

  private

  def boot
    Dir.chdir(@block[:root])
    application = Class.new(Rails::Application)
    Object.const_set(:DocumentApplication, application)
    application.config.root = @block[:root]
    application.config.load_defaults 7.1
    application.config.eager_load = true
    application.config.secret_key_base = "0" * 64
    application.config.logger = Logger.new(File.join(@block[:root], "log/all.log"))
    application.config.active_storage.service = :amazon
    application.config.active_support.to_time_preserves_timezone = :zone if Rails::VERSION::STRING < "8.1"
    application.class_eval(@block[:application], @block[:id], 1)
    tables
    application.initialize!
    application.load_tasks
    application.routes.default_url_options[:host] = "www.example.com"
  end

  def tables
    ActiveRecord::Base.establish_connection(adapter: "sqlite3", database: "tmp/documents.sqlite3")
    ActiveRecord::Schema.verbose = false
    load File.expand_path("../../dummy/db/schema.rb", __dir__)
    ActiveRecord::Schema.define do
      change_table(:organisations) { |table| table.string :encryption_key, :storage_service }
      create_table(:customer_buckets) { |table| table.string :service_name, :name, :region, :encryption_key }
      change_table(:contracts) { |table| table.string :title }
      create_table(:audit_records) { |table| table.string :person, :key, :service, :key_id, :size }
    end
  end

  def build_services
    entries = Rails.configuration.active_storage.service_configurations.symbolize_keys
    entries.each_key { |name| ActiveStorage::Blob.services.fetch(name) }
    raise "nothing encrypts" unless entries.keys.any? { |name| EncryptedS3Service.encrypts?(name) }
  end

  # Runs the tests and specs of the block.
  def run_tests
    tests = Dir["test/**/*_test.rb"]
    tests.each { |path| require File.expand_path(path) }
    raise "a test fails" if tests.any? && !Minitest.run([])

    specs = Dir["spec/**/*_spec.rb"]
    raise "a spec fails" if specs.any? && RSpec::Core::Runner.run(specs).nonzero?
  end

  def render
    html = ApplicationController.render(inline: <<~ERB, locals: { contract: Contract.new })
      <%= form_with(model: contract, url: "/contracts") do |form| %>#{@block[:script]}<% end %>
    ERB
    raise "nothing is signed: #{html}" unless html.include?("service_token=")
  end

  def command(line)
    words = Shellwords.split(line.sub(/\s+#.*/, ""))
    case words
    in ["bin/rails", "generate", name, *rest] then generate(name, rest)
    in ["bin/rails", task, *rest] then rake(task, rest)
    in [] then nil
    end
  end

  def generate(name, arguments)
    raise "there is no generator #{name}" unless Rails::Generators.find_by_namespace(name)

    Rails::Generators.invoke(name, arguments, destination_root: @block[:root])
  end

  def rake(task, arguments)
    arguments.each { |argument| ENV.store(*argument.split("=", 2)) }
    Rake::Task[task].invoke
  ensure
    arguments.each { |argument| ENV.delete(argument[/\A\w+/]) }
  end
end

def run_apart(block)
  reader, writer = IO.pipe
  pid = fork do
    $stdout.reopen(File.join(block[:root], "log/output.log"), "w")
    $stderr.reopen($stdout)
    DocumentRun.new(block).call
    writer.write("ok")
  rescue SystemExit, StandardError, ScriptError => e
    writer.write("#{e.class}: #{e.message}\n#{e.backtrace&.first(12)&.join("\n")}")
  ensure
    writer.close
    exit!(true)
  end
  writer.close
  Process.wait(pid)
  answer = reader.read
  answer == "ok" ? nil : "#{answer}\n#{File.read(File.join(block[:root], "log/output.log"))}"
end

blocks = Marshal.load($stdin.binmode) # rubocop:disable Security/MarshalLoad -- written by the spec
$stdout.binmode.write(Marshal.dump(blocks.to_h { |block| [block[:id], run_apart(block)] }))
