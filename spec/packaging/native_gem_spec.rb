# frozen_string_literal: true

require "rbconfig"
require "rubygems/package"
require "tmpdir"
require_relative "../../script/native_gem"

# The contents of a precompiled gem. Compiling takes minutes, so a few bytes stand in for extensions of two Rubies;
# script/smoke-install tests real ones.
RSpec.describe NativeGem do
  let(:source) { Gem::Specification.load(File.expand_path("../../encrypted_s3_service.gemspec", __dir__)) }
  let(:extension) { "encrypted_s3_service.#{RbConfig::CONFIG["DLEXT"]}" }

  # @yieldparam package [Gem::Package]
  def packed(bytes = "GLIBC_2.17", minors: %w[3.3 3.4])
    Dir.mktmpdir do |folder|
      library = File.join(folder, extension).tap { |path| File.write(path, bytes) }
      native = described_class.new(source, names: [RbConfig.ruby])
      rubies = minors.map { |minor| described_class::Ruby.new(RbConfig.ruby, minor) }
      native.instance_variable_set(:@rubies, rubies)
      allow(native).to receive(:compile).and_return(library)
      path = Dir.chdir(File.dirname(source.loaded_from)) { quietly { native.build(folder) } }
      yield Gem::Package.new(path)
    end
  end

  def quietly(&)
    screen = [$stdout, $stderr]
    $stdout = $stderr = StringIO.new
    Gem::DefaultUserInteraction.use_ui(Gem::SilentUI.new, &)
  ensure
    $stdout, $stderr = screen
  end

  def copy_private(from, to)
    FileUtils.mkdir_p(File.dirname(to))
    FileUtils.cp(from, to)
    File.chmod(File.executable?(from) ? 0o700 : 0o600, to)
  end

  it "contains the extension for each Ruby where the gem loads it, and nothing to compile" do
    packed do |package|
      names = package.contents
      expect(names).to include("lib/encrypted_s3_service/3.3/#{extension}",
                               "lib/encrypted_s3_service/3.4/#{extension}",
                               "lib/encrypted_s3_service.rb", "exe/encrypted_s3_service", "LICENSE-THIRD-PARTY.txt")
      expect(names.grep(/\.rs\z|Cargo|extconf|toolchain/)).to eq([])
      expect(package.spec.extensions).to eq([])
    end
  end

  it "is only for those Rubies and this platform, and needs no rb_sys" do
    packed do |package|
      requirement = package.spec.required_ruby_version
      served = %w[3.2.9 3.3.0 3.4.11 3.5.0.dev 3.5.0].select { |one| requirement.satisfied_by?(Gem::Version.new(one)) }
      expect(served).to eq(%w[3.3.0 3.4.11])
      expect(package.spec.dependencies.map(&:name)).to eq(%w[activestorage logger railties])
      expect(Gem::Platform.match_gem?(package.spec.platform, source.name)).to be(true)
    end
  end

  it "is identical, byte for byte, if the source is elsewhere and readable only by its owner" do
    Dir.mktmpdir do |folder|
      here = File.dirname(source.loaded_from)
      elsewhere = File.join(folder, "elsewhere")
      source.files.each { |file| copy_private(File.join(here, file), File.join(elsewhere, file)) }
      packages = [here, elsewhere].map do |checkout|
        Dir.chdir(checkout) { quietly { described_class.pack(source, File.join(folder, "pkg")) } }
           .then { |path| File.binread(path) }
      end
      expect(packages.first == packages.last).to be(true)
    end
  end

  it "is not built from an extension that contains paths of the build" do
    shown = "panicked at #{File.expand_path("~/.cargo")}/registry/src/a.rs"
    expect { packed(shown) { nil } }.to raise_error(/contains paths of this machine/)
  end
end
