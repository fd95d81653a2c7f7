# frozen_string_literal: true

require "fileutils"
require "tmpdir"
require "rbconfig"
require "rubygems/package"

# Builds a gem for this platform that contains the compiled extension for several Rubies, each in its own folder, where
# the gem looks for it. Its users need neither Rust nor a compiler.
# The extension requires at least the version of the C library of this machine, which the build prints. Build releases
# on a machine with an old one.
class NativeGem
  NAME = "encrypted_s3_service"
  # A profile in Cargo.toml that optimizes for size where speed does not matter.
  PROFILE = "native"
  OLDEST_RUBY = Gem::Version.new("3.2")
  # From this version on RubyGems distinguishes the platforms of glibc and musl.
  RUBYGEMS = ">= 3.3.22"
  # Files that only the source gem needs.
  SOURCES = %r{\A(?:ext/|Cargo\.|rustfmt)}
  private_constant :NAME, :PROFILE, :OLDEST_RUBY, :RUBYGEMS, :SOURCES

  # A Ruby on this machine. `minor` is such as "3.4".
  Ruby = Struct.new(:path, :minor)

  # @param specification [Gem::Specification]
  # @param folder [String] for the package
  # @param extensions [Hash{String => String}] paths of files from elsewhere, by their paths in the package
  # @return [String] path of the package
  def self.pack(specification, folder, extensions = {})
    FileUtils.mkdir_p(folder)
    path = File.expand_path(specification.file_name, folder)
    Dir.mktmpdir do |stage|
      specification.files.each { |file| copy(extensions.fetch(file, file), File.join(stage, file)) }
      Dir.chdir(stage) { Gem::Package.build(specification, false, false, path) }
    end
    path
  end

  # Sets the mode. Otherwise the package has the modes of the checkout, which depend on the user's umask.
  def self.copy(from, to)
    FileUtils.mkdir_p(File.dirname(to))
    FileUtils.cp(from, to)
    File.chmod(File.executable?(from) ? 0o755 : 0o644, to)
  end
  private_class_method :copy

  # Folders of this machine that would appear in panic messages.
  # @return [Hash{String => String}] folders, and their replacements
  def self.build_paths
    { File.expand_path(ENV.fetch("CARGO_HOME", "~/.cargo")) => "cargo", Dir.pwd => NAME }
  end

  # @return [String] compiler flags that replace these folders in the extension
  def self.rustflags = build_paths.map { |from, to| "--remap-path-prefix=#{from}=#{to}" }.join(" ")

  # @param specification [Gem::Specification] the source gem's
  # @param names [Array<String>] names or paths of Rubies
  def initialize(specification, names: ENV.fetch("RUBIES", "").split)
    @specification = specification
    @rubies = rubies(names.empty? ? names_in_path : names)
    raise "No Ruby >= #{OLDEST_RUBY} found. Name one in RUBIES." if @rubies.empty?
  end

  # @param folder [String] for the package
  # @return [String] path of the package
  def build(folder)
    libraries = @rubies.to_h { |ruby| [ruby.minor, compile(ruby)] }
    libraries.each_value { |library| refuse_build_paths(library) }
    extensions = libraries.transform_keys { |minor| target(minor) }
    path = self.class.pack(native_specification(libraries.keys), folder, extensions)
    report(path, libraries)
    path
  end

  private

  def names_in_path
    folders = ENV.fetch("PATH", "").split(File::PATH_SEPARATOR)
    [RbConfig.ruby, *folders.flat_map { |folder| Dir.glob("#{folder}/ruby{,3.[0-9]*,[4-9].[0-9]*}") }]
  end

  def rubies(names)
    names.filter_map do |name|
      path, version = about(name)
      Ruby.new(path, version[/\A\d+\.\d+/]) if Gem::Version.new(version) >= OLDEST_RUBY
    end.uniq(&:minor).sort_by(&:minor)
  end

  # @return [Array<String>] path and version
  def about(name)
    code = "puts RbConfig.ruby, RUBY_VERSION"
    said = Bundler.with_unbundled_env { IO.popen([name, "-rrbconfig", "-e", code], &:read) }
    said.empty? ? raise("#{name} is not a working Ruby.") : said.lines(chomp: true)
  end

  # Compiles with the same extconf.rb and Makefile as an installation.
  # @return [String] path of the extension
  def compile(ruby)
    puts "compiling for Ruby #{ruby.minor} (#{ruby.path})"
    folder = File.expand_path("tmp/native/#{ruby.minor}")
    FileUtils.rm_rf(folder)
    FileUtils.mkdir_p(folder)
    extconf = File.expand_path("ext/#{NAME}/extconf.rb")
    run(ruby.path, *rb_sys.flat_map { |path| ["-I", path] }, extconf, chdir: folder, env: environment(ruby))
    run("make", chdir: folder, env: environment(ruby))
    File.join(folder, "#{NAME}.#{RbConfig::CONFIG["DLEXT"]}").tap do |library|
      run(*RbConfig::CONFIG["STRIP"].split, library, chdir: folder, env: {})
    end
  end

  def rb_sys = Gem.loaded_specs.fetch("rb_sys").full_require_paths

  # Bundler's variables are for the Ruby that runs this. RubyGems sets SOURCE_DATE_EPOCH when it installs a gem, and
  # rb_sys uses it to detect that. The flags of C crates are not in CFLAGS, because make replaces CFLAGS with Ruby's:
  # AWS-LC would be compiled again for each Ruby, with debug information.
  def environment(ruby)
    { "RUBY" => ruby.path, "RUBYOPT" => nil, "RUBYLIB" => nil, "SOURCE_DATE_EPOCH" => nil,
      "RB_SYS_CARGO_PROFILE" => PROFILE,
      "RB_SYS_CARGO_TARGET_DIR" => File.expand_path("target"),
      "RB_SYS_GLOBAL_RUSTFLAGS" => self.class.rustflags,
      "CFLAGS" => nil,
      "HOST_CFLAGS" => self.class.build_paths.map { |from, to| "-ffile-prefix-map=#{from}=#{to}" }.join(" ") }
  end

  def refuse_build_paths(library)
    bytes = File.binread(library)
    found = self.class.build_paths.keys.find { |path| bytes.include?("#{path}/") }
    raise "#{library} contains paths of this machine, such as #{found}." if found
  end

  def target(minor) = "lib/#{NAME}/#{minor}/#{NAME}.#{RbConfig::CONFIG["DLEXT"]}"

  def native_specification(minors)
    @specification.dup.tap do |specification|
      specification.platform = platform
      specification.extensions = []
      specification.files = @specification.files.grep_v(SOURCES) + minors.map { |minor| target(minor) }
      specification.dependencies.reject! { |dependency| dependency.name == "rb_sys" }
      specification.required_ruby_version = rubies_served(minors)
      specification.required_rubygems_version = RUBYGEMS
    end
  end

  # An extension works with one minor version of Ruby only.
  def rubies_served(minors) = [">= #{minors.first}", "< #{Gem::Version.new("#{minors.last}.0").bump}.dev"]

  # @return [Gem::Platform] with the C library, which RubyGems omits for glibc
  def platform
    Gem::Platform.new("#{RbConfig::CONFIG["target_cpu"]}-#{os}")
  end

  def os
    return RbConfig::CONFIG["target_os"] unless RbConfig::CONFIG["target_os"].start_with?("linux")

    RbConfig::CONFIG["target_os"].include?("musl") ? "linux-musl" : "linux-gnu"
  end

  def report(path, libraries)
    puts "#{path}: #{File.size(path)} bytes"
    libraries.each do |minor, library|
      needs = ", needs glibc #{glibc(library)}" if os == "linux-gnu"
      puts "  Ruby #{minor}: #{File.size(library)} bytes#{needs}"
    end
  end

  # @return [String] the newest version of a symbol that the extension needs
  def glibc(library)
    File.binread(library).scan(/GLIBC_(\d+\.\d+)/).flatten.max_by { |version| Gem::Version.new(version) }
  end

  def run(*command, chdir:, env:)
    return if Bundler.unbundled_system(env, *command, chdir: chdir)

    raise "`#{command.join(" ")}` failed."
  end
end
