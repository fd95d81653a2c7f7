# frozen_string_literal: true

require "fileutils"
require "open3"
require "rbconfig"
require "tmpdir"

# Messages during an installation from source when a tool is missing. The programs are small scripts that replace those
# of a machine: the real extconf.rb calls them.
RSpec.describe "ext/encrypted_s3_service/extconf.rb" do
  extconf = File.expand_path("../../ext/encrypted_s3_service/extconf.rb", __dir__)
  oldest = File.read(File.expand_path("../../Cargo.toml", __dir__))[/^rust-version = "([\d.]+)"/, 1]

  around do |example|
    Dir.mktmpdir do |folder|
      @folder = folder
      FileUtils.mkdir_p(%w[bin build lib].map { |name| File.join(folder, name) })
      FileUtils.touch(File.join(folder, "lib", "libclang.so.1"))
      program("make", "exit 0")
      example.run
    end
  end

  def program(name, script)
    path = File.join(@folder, "bin", name)
    File.write(path, "#!/bin/sh\n#{script}\n")
    File.chmod(0o755, path)
  end

  def cargo(version, crates: "exit 0")
    program("cargo", "case $1 in --version) echo 'cargo #{version} (abc 2026-01-01)' ;; *) #{crates} ;; esac")
    program("rustc", "echo 'host: x86_64-unknown-linux-gnu'")
  end

  define_method(:configure) do |*arguments, **environment|
    rb_sys = Gem.loaded_specs.fetch("rb_sys").full_require_paths.flat_map { |path| ["-I", path] }
    settings = { "PATH" => File.join(@folder, "bin"), "LIBCLANG_PATH" => File.join(@folder, "lib"),
                 "RUBYOPT" => nil, "CC" => nil, "MAKE" => nil, "make" => nil }
    Open3.capture2e({ **settings, **environment.transform_keys(&:to_s) }, RbConfig.ruby, *rb_sys, extconf, *arguments,
                    chdir: File.join(@folder, "build"))
  end

  # @return [Array<String>] the lines that begin with a dash
  def complaints(*, **)
    said, status = configure(*, **)
    expect(status).not_to be_success, said
    expect(File).not_to exist(File.join(@folder, "build", "Makefile"))
    said.lines(chomp: true).grep(/\A- /)
  end

  it "writes a Makefile if nothing is missing" do
    cargo(oldest)
    program("cc", "exit 0")
    said, status = configure
    expect(status).to be_success, said
    expect(File).to exist(File.join(@folder, "build", "Makefile"))
  end

  it "lists all missing tools at once, with the commands to install them" do
    FileUtils.rm(File.join(@folder, "bin", "make"))
    expect(complaints).to match([/\A- Rust \(cargo\) is not installed.*curl .*rustup/,
                                 /\A- There is no C compiler \(cc\).*Get it: \S+ \S+/,
                                 /\A- There is no make, which runs the build. Get it: \S+ \S+/])
  end

  it "says that rustup is installed without Rust" do
    program("cargo", "echo 'error: rustup could not choose a version of cargo to run' >&2; exit 1")
    program("cc", "exit 0")
    expect(complaints).to eq(["- cargo does not run (error: rustup could not choose a version of cargo to run). " \
                              "Get it: rustup default stable"])
  end

  it "says that libclang is not at LIBCLANG_PATH" do
    cargo(oldest)
    program("cc", "exit 0")
    empty = File.join(@folder, "build")
    expect(complaints(LIBCLANG_PATH: empty))
      .to match([/\A- LIBCLANG_PATH is #{empty}, where there is no libclang.*get it: \S+ \S+/])
  end

  it "requires the make that MAKE names" do
    cargo(oldest)
    program("cc", "exit 0")
    expect(complaints(MAKE: "gmake -j2")).to match([/There is no gmake/])
  end

  it "names the required version of Rust and the installed one" do
    cargo("1.60.0")
    program("cc", "exit 0")
    expect(complaints).to eq(["- Rust #{oldest} or later is needed, but this is 1.60.0. Get it: rustup update stable"])
  end

  it "requires the compiler that CC names" do
    cargo(oldest)
    expect(complaints(CC: "clang -m64")).to match([/no C compiler \(clang\)/])
  end

  it "says where libclang is searched" do
    cargo(oldest)
    program("cc", "exit 0")
    toolchain = File.expand_path("../../ext/encrypted_s3_service/toolchain.rb", __dir__)
    script = "require #{toolchain.dump}; Toolchain::LIBCLANG.then { |all| Toolchain.send(:remove_const, :LIBCLANG); " \
             "Toolchain.const_set(:LIBCLANG, all.map { |one| '/nowhere' + one }) }; " \
             "puts Toolchain.new(ARGV.first).problems"
    environment = { "PATH" => File.join(@folder, "bin"), "LIBCLANG_PATH" => nil, "MAKE" => nil, "make" => nil }
    manifest = File.expand_path("../../Cargo.toml", __dir__)
    said, = Open3.capture2e(environment, RbConfig.ruby, "-e", script, manifest)
    expect(said).to match(/\Alibclang is not installed.*LIBCLANG_PATH.*Get it: .+\n\z/)
  end

  it "says that the crates cannot be downloaded, with cargo's message" do
    cargo(oldest, crates: "echo 'error: failed' >&2; echo '  Could not resolve host: index.crates.io' >&2; exit 101")
    program("cc", "exit 0")
    expect(complaints).to match([/crates cannot be downloaded \(Could not resolve host.*HTTPS_PROXY.*gem install/])
  end

  describe "for FIPS" do
    before do
      cargo(oldest)
      program("cc", "exit 0")
    end

    def features = File.read(File.join(@folder, "build", "Makefile"))[/^RB_SYS_CARGO_FEATURES \?= (.*)$/, 1]

    [[["--enable-fips"], {}], [[], { ENCRYPTED_S3_SERVICE_FIPS: "1" }]].each do |arguments, environment|
      name = [*arguments, *environment.map { |variable| variable.join("=") }].join

      it "says that cmake and Go are missing, with the commands to install them: #{name}" do
        expect(complaints(*arguments, **environment))
          .to match([/\A- There is no cmake.*Get it: \S+ .*cmake/i, /\A- There is no go.*Get it: \S+ .*go/i])
      end

      it "builds with the FIPS build of aws-lc if both are installed: #{name}" do
        program("cmake", "exit 0")
        program("go", "exit 0")
        said, status = configure(*arguments, **environment)
        expect(status).to be_success, said
        expect(features).to eq("fips")
      end
    end

    it "is not built by default" do
      said, status = configure(ENCRYPTED_S3_SERVICE_FIPS: "0")
      expect(status).to be_success, said
      expect(features.to_s).to eq("")
    end
  end
end
