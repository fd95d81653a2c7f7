# frozen_string_literal: true

require_relative "../support/command"

RSpec.describe "The command encrypted_s3_service and its files" do
  include_context "with the command"

  before { File.binwrite("plain", data) }

  def encrypt(*options) = succeed("encrypt", "plain", "-o", "body", *options)

  it "writes a local object with its metadata, or neither of them" do
    too_long = "n" * 256
    expect(fail_with(1, "encrypt", "plain", "-o", too_long, "--metadata", "json"))
      .to include("#{too_long} cannot be written: File name too long")
    expect(Dir.children(".")).to eq(["plain"])
  end

  it "does not write both into one file" do
    expect(fail_with(2, "encrypt", "plain", "-o", "body", "--metadata", "./body", "--force"))
      .to include("--metadata must be another file than --output")
    expect(fail_with(2, "encrypt", "plain", "-o", "body", "--instruction-file", "file"))
      .to include("encrypt writes no instruction file")
  end

  it "gives a file that it replaces the permissions of the former one" do
    encrypt
    File.write("mine", "")
    File.chmod(0o600, "mine")
    succeed("decrypt", "body", "-o", "mine", "--force")
    succeed("decrypt", "body", "-o", "new")
    expect(%w[mine new].map { |name| File.stat(name).mode & 0o777 }).to eq([0o600, 0o666 & ~File.umask])
    expect(File.binread("mine")).to be_bytes(data)
  end

  it "neither waits for a pipe nor takes it or a folder for an object" do
    encrypt
    File.mkfifo("pipe")
    Dir.mkdir("folder")
    %w[pipe folder].each do |name|
      expect(fail_with(1, "encrypt", name, "-o", "other")).to include("#{name} is not a file")
      %w[decrypt inspect].each do |action|
        expect(fail_with(1, action, name, "--metadata", "body.metadata.json")).to include("#{name} is not a file")
      end
    end
  end

  it "leaves nothing where a file becomes larger than the process may write" do
    encrypt
    [%w[decrypt body -o plain2], %w[encrypt plain -o other]].each do |arguments|
      _, errors, status = Open3.capture3(*command(*arguments), rlimit_fsize: 100_000)
      expect(errors).to match(/(plain2 cannot be written|could not be written): file too large/i)
      expect(status.exitstatus).to eq(1)
    end
    expect(Dir.children(".")).to contain_exactly("plain", "body", "body.metadata.json")
  end

  it "reads a key from a pipe" do
    encrypt
    environment, *words = command("decrypt", "body", "--key-file", "/dev/stdin", env: { "ENCRYPTION_KEY" => nil })
    output, errors, = Open3.capture3(environment, *words, stdin_data: "#{encryption_key}\n", binmode: true)
    expect(errors).to eq("")
    expect(output).to be_bytes(data)
  end

  it "names the file that cannot be read or written, and the reason" do
    encrypt
    expect(fail_with(1, "encrypt", "nothing", "-o", "other")).to include(": nothing cannot be read: No such file")
    expect(fail_with(1, "decrypt", "body", "--metadata", ".")).to include(": . cannot be read: Is a directory")
    expect(fail_with(1, "decrypt", "body", "--instruction-file", ".")).to include(": . cannot be read: Is a directory")
    expect(fail_with(1, "decrypt", "body", "--config", ".", "--service", "s"))
      .to include(": . cannot be read: Is a directory")
    expect(fail_with(1, "decrypt", "body", "-o", "folder/")).to include("folder/ is not an ordinary file")
  end

  it "refuses empty names" do
    expect(fail_with(2, "decrypt", "")).to include("decrypt: its argument is missing")
    expect(fail_with(2, "encrypt", "plain", "-o", "body", "--object-key", ""))
      .to include("--object-key must not be empty")
  end
end
