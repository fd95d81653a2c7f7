# frozen_string_literal: true

require "active_storage_helper"
require "rbs"
require "rbs/cli"

# The signatures in sig describe the existing methods.
RSpec.describe "The signatures" do
  folder = File.expand_path("../../sig", __dir__)

  def self.declarations(folder)
    loader = RBS::EnvironmentLoader.new
    %w[tempfile openssl pathname].each { |library| loader.add(library: library) }
    loader.add(path: Pathname(folder))
    RBS::Environment.from_loader(loader).resolve_type_names
  end

  environment = declarations(folder)
  builder = RBS::DefinitionBuilder.new(env: environment)
  ours = environment.class_decls.keys.select do |name|
    name.to_s.match?(/\A::(ActiveStorage::Service::)?EncryptedS3Service/)
  end

  # @return [Array<RBS::Types::Function>] the method's forms
  def functions(definition) = definition.method_types.map(&:type)

  # Compares keywords, and the permitted numbers of positional arguments.
  def expect_same_arguments(method, definition, label)
    parameters = method.parameters
    kinds = parameters.group_by(&:first).transform_values { |list| list.map(&:last) }
    functions(definition).each do |function|
      described = function.required_keywords.keys + function.optional_keywords.keys
      named = kinds.values_at(:key, :keyreq).flatten.compact
      unless kinds.key?(:keyrest)
        expect(described - named).to be_empty, "#{label}: #{described - named} are not keywords"
      end
      expect(kinds.fetch(:keyreq, []) - function.required_keywords.keys).to be_empty, "#{label}: keywords are missing"
      missing = named - described
      expect(missing).to be_empty, "#{label}: #{missing} are not described" unless function.rest_keywords
      expect_same_positionals(kinds, function, label)
    end
  end

  def expect_same_positionals(kinds, function, label)
    required = kinds.fetch(:req, []).size
    expect(function.required_positionals.size).to be >= required, "#{label}: has #{required} required arguments"
    return if kinds.key?(:rest)

    most = required + kinds.fetch(:opt, []).size
    described = function.required_positionals.size + function.optional_positionals.size
    expect(described).to eq(most), "#{label}: takes #{most} arguments, described are #{described}"
  end

  ours.each do |name|
    constant = name.to_s.delete_prefix("::")

    it "of #{constant} match its methods" do
      owner = Object.const_get(constant)
      instance = builder.build_instance(name).methods.select { |_, definition| definition.implemented_in == name }
      instance.each do |method, definition|
        found = method == :initialize ? owner.instance_method(:initialize) : owner.instance_method(method)
        expect_same_arguments(found, definition, "#{constant}##{method}")
      end
      singleton = builder.build_singleton(name).methods.select { |_, definition| definition.implemented_in == name }
      singleton.except(:new).each do |method, definition|
        expect_same_arguments(owner.method(method), definition, "#{constant}.#{method}")
      end
    end
  end

  it "cover every class, module and constant" do
    environment.constant_decls.each_key do |name|
      text = name.to_s.delete_prefix("::")
      next unless text.include?("EncryptedS3Service")

      expect(Object.const_defined?(text)).to be(true), text
    end
    expect(ours.size).to be > 40
  end

  it "cover every error of the gem" do
    errors = EncryptedS3Service.constants.map { |name| EncryptedS3Service.const_get(name) }
                               .select { |value| value.is_a?(Class) && value <= EncryptedS3Service::Error }
    described = ours.map { |name| name.to_s.delete_prefix("::") }
    expect(errors.map(&:name) - described).to be_empty
    errors.each do |error|
      parent = environment.class_decls.fetch(RBS::TypeName("::#{error.name}")).primary.decl.super_class.name.to_s
      expect(parent.delete_prefix("::")).to eq(error.superclass.name), error.name
    end
  end

  it "match the arguments and results of a client, a reader and keys" do
    variables = { "RBS_TEST_TARGET" => "EncryptedS3Service::*", "RBS_TEST_RAISE" => "true",
                  "RBS_TEST_LOGLEVEL" => "error", "RBS_TEST_UNCHECKED_CLASSES" => "Data",
                  "RBS_TEST_OPT" => "-I #{folder} -r tempfile -r openssl -r pathname" }
    program = <<~'RUBY'
      require "stringio"
      require "tempfile"
      # Watches classes that are defined from now on.
      require "rbs/test/setup"
      require "encrypted_s3_service"
      %i[Client DerivedKeys Reader].each { |name| EncryptedS3Service.const_get(name) }
      settings, key = Marshal.load($stdin.binmode)
      client = EncryptedS3Service::Client.new(**settings)
      client.upload(key, StringIO.new("a text"), progress: ->(_stored, _total) {})
      client.download(key)
      client.download(key) { |chunk| chunk }
      client.download_chunk(key, 1..)
      client.reader(key).then { |reader| [reader.size, reader.etag, reader.read(10), reader.close] }
      Tempfile.create { |file| client.download_file(key, file, digest: "sha256") }
      client.stat(key).then { |stat| [stat.size, stat.etag, stat.format, stat.key_id] }
      client.metadata(key)
      client.rotate(key)
      client.envelope(key)
      client.reencrypt(key)
      client.compose([key], key)
      configuration = client.configuration
      %i[bucket region endpoint encryption_key part_size written_format public?].each { |name| configuration.send(name) }
      EncryptedS3Service::EncryptionKey.generate
      EncryptedS3Service::DerivedKeys.new(EncryptedS3Service::EncryptionKey.generate).call("42")
      client.delete(key)
      client.exist?(key)
      puts "checked"
      begin
        EncryptedS3Service::DerivedKeys.new(EncryptedS3Service::EncryptionKey.generate).call(42)
      rescue Exception => e
        puts e.class
      end
    RUBY
    command = [RbConfig.ruby, "-rbundler/setup", "-I", File.expand_path("../../lib", __dir__), "-e", program]
    given = Marshal.dump([TestStore.settings, unique_key])
    output, = Open3.capture2e(variables, *command, stdin_data: given, binmode: true)
    expect(output.lines(chomp: true)).to eq(%w[checked RBS::Test::Tester::TypeError])
  end

  it "are valid" do
    output = StringIO.new
    arguments = %W[-r tempfile -r openssl -r pathname -I #{folder} validate]
    expect { RBS::CLI.new(stdout: output, stderr: output).run(arguments) }.not_to raise_error
  end
end
