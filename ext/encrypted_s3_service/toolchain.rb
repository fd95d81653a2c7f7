# frozen_string_literal: true

require "open3"
require "rbconfig"
require "rubygems"

# Checks before the build, which takes minutes, whether this machine has the required tools. Reports each missing tool
# in one line, with the command that installs it.
class Toolchain
  # Paths of libclang. rb-sys uses clang-sys, which searches the same ones.
  LIBCLANG = [
    "{/usr,}/lib*/{,*/,*/*/,*/*/*/}libclang{,-*}.{so*,dylib}", "/usr/local/{lib*,llvm*/lib*,opt/llvm*/lib*}/libclang*",
    "/opt/{local,homebrew}/{libexec/llvm-*/lib,opt/llvm*/lib,lib}/libclang*",
    "/Library/Developer/CommandLineTools/usr/lib/libclang*",
    "/Applications/Xcode.app/Contents/Developer/Toolchains/XcodeDefault.xctoolchain/usr/lib/libclang*"
  ].freeze

  # Additional programs for the FIPS build of aws-lc, with the commands that print their versions.
  FIPS_PROGRAMS = { cmake: %w[cmake --version], go: %w[go version] }.freeze

  # Commands that install a C compiler, libclang, cmake and Go, by the name of the system in /etc/os-release.
  PACKAGES = {
    /debian|ubuntu/ => { compiler: "apt-get install build-essential", libclang: "apt-get install libclang-dev",
                         cmake: "apt-get install cmake", go: "apt-get install golang-go" },
    /alpine/ => { compiler: "apk add build-base", libclang: "apk add clang-dev",
                  cmake: "apk add cmake", go: "apk add go" },
    /fedora|rhel|centos|amzn/ => { compiler: "dnf install gcc make", libclang: "dnf install clang-devel",
                                   cmake: "dnf install cmake", go: "dnf install golang" },
    /suse/ => { compiler: "zypper install gcc make", libclang: "zypper install clang-devel",
                cmake: "zypper install cmake", go: "zypper install go" },
    /arch/ => { compiler: "pacman -S base-devel", libclang: "pacman -S clang",
                cmake: "pacman -S cmake", go: "pacman -S go" },
    /darwin/ => { compiler: "xcode-select --install", libclang: "xcode-select --install",
                  cmake: "brew install cmake", go: "brew install go" }
  }.freeze
  UNKNOWN_SYSTEM = { compiler: "install GCC or Clang", libclang: "install libclang",
                     cmake: "install CMake", go: "install Go" }.freeze

  RUSTUP = "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"

  # @param manifest [String] path of the workspace's Cargo.toml, which contains the required version of Rust
  # @param fips [Boolean] whether to build aws-lc for FIPS, which needs cmake and Go
  def initialize(manifest, fips: false)
    @manifest = manifest
    @fips = fips
  end

  # @return [Array<String>] a line for each tool that is missing or too old
  def problems
    found = [cargo_problem, compiler_problem, make_problem, libclang_problem, *fips_problems].compact
    # This check needs cargo.
    found.empty? ? [crates_problem].compact : found
  end

  private

  def cargo_problem
    said, works = ask("cargo", "--version")
    return "Rust (cargo) is not installed. Get it: #{RUSTUP}" unless said
    # rustup installs its cargo before any version of Rust.
    return "cargo does not run (#{said.lines.first&.strip}). Get it: rustup default stable" unless works

    version = said[/^cargo (\d+\.\d+\.\d+)/, 1] || "0"
    return if Gem::Version.new(version) >= Gem::Version.new(oldest_rust)

    "Rust #{oldest_rust} or later is needed, but this is #{version}. Get it: rustup update stable"
  end

  def oldest_rust = File.read(@manifest)[/^rust-version = "([\d.]+)"/, 1]

  def compiler_problem
    program = ENV.fetch("CC", "cc").split.first
    return if output(program, "--version")

    "There is no C compiler (#{program}), which is needed to build aws-lc. Get it: #{package(:compiler)}"
  end

  # Finds make as RubyGems does.
  def make_problem
    program = (ENV["MAKE"] || ENV["make"] || "make").split.first
    return if output(program, "--version") || RbConfig::CONFIG["host_os"].include?("mswin")

    "There is no #{program}, which runs the build. Get it: #{package(:compiler)}"
  end

  def libclang_problem
    named = ENV.fetch("LIBCLANG_PATH", nil)
    return named_libclang_problem(named) if named
    return if libclang_gem? || output("llvm-config", "--prefix")
    return unless Dir.glob(LIBCLANG).empty?

    "libclang is not installed, or not in a known folder (then set LIBCLANG_PATH to its folder). " \
      "Get it: #{package(:libclang)}"
  end

  # The path may be a folder or the library itself. bindgen would search only there, and fail after minutes.
  def named_libclang_problem(path)
    return if File.file?(path) || Dir.glob("{lib,}clang*.{so*,dylib,dll}", base: path).any?

    "LIBCLANG_PATH is #{path}, where there is no libclang. Set it to the folder of libclang, or get it: " \
      "#{package(:libclang)}"
  end

  def fips_problems
    return [] unless @fips

    FIPS_PROGRAMS.reject { |_, command| output(*command) }.map do |name, _|
      "There is no #{name}, which is needed to build aws-lc for FIPS. Get it: #{package(name)}"
    end
  end

  # rb_sys uses this gem if it is installed.
  def libclang_gem? = Gem::Specification.find_all_by_name("libclang").any?

  # Downloads missing crates, only those for this machine.
  def crates_problem
    fetch = ["cargo", "fetch", "--locked", "--manifest-path", @manifest, *target]
    return if output(*fetch, "--offline")

    said, status = Open3.capture2e(*fetch)
    return if status.success?

    "The crates cannot be downloaded (#{said.lines.grep(/error|Caused|: /).last&.strip}). " \
      "Give cargo access to crates.io, if necessary with HTTPS_PROXY, or install a compiled gem: " \
      "gem install encrypted_s3_service"
  end

  def target
    host = output("rustc", "-vV")&.slice(/^host: (\S+)/, 1)
    host ? ["--target", ENV.fetch("CARGO_BUILD_TARGET", host)] : []
  end

  def package(what)
    (PACKAGES.find { |name, _| name.match?(system_name) }&.last || UNKNOWN_SYSTEM).fetch(what)
  end

  def system_name
    release = "/etc/os-release"
    return RbConfig::CONFIG["host_os"] unless File.exist?(release)

    File.read(release).scan(/^ID(?:_LIKE)?=(.*)$/).join(" ")
  end

  # @return [String, nil] output of the program; nil if it is missing or fails
  def output(*command)
    said, works = ask(*command)
    said if works
  end

  # @return [Array(String, Boolean), nil] output of the program and whether it succeeded; nil if it is missing
  def ask(*command)
    said, status = Open3.capture2e(*command)
    [said, status.success?]
  rescue SystemCallError
    nil
  end
end
