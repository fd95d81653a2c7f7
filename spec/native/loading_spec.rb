# frozen_string_literal: true

require "open3"
require "rbconfig"

RSpec.describe EncryptedS3Service::NativeLoader do
  it "loads an extension of the gem's own version" do
    expect(EncryptedS3Service::Native::VERSION).to eq(EncryptedS3Service::VERSION)
  end

  it "says how to build a missing extension, by an error that Rails does not take for its own" do
    expect { described_class.load(["encrypted_s3_service/not_built"]) }
      .to raise_error(EncryptedS3Service::NativeLoadError, /not built.*rake compile.*cargo/) { |e|
        expect(e).not_to be_a(LoadError)
      }
  end

  it "names the problem of an extension that does not load" do
    Dir.mktmpdir do |folder|
      File.write(File.join(folder, "broken_extension.so"), "no library")
      $LOAD_PATH.unshift(folder)
      expect { described_class.load(["broken_extension.so"]) }
        .to raise_error(EncryptedS3Service::NativeLoadError, /cannot be loaded.*rake compile/)
    ensure
      $LOAD_PATH.delete(folder)
    end
  end

  it "refuses an extension of another version" do
    version = EncryptedS3Service::VERSION
    expect { described_class.check_version("0.0.1") }
      .to raise_error(EncryptedS3Service::NativeLoadError, /has version 0\.0\.1, the gem has version #{version}\./)
  end

  it "starts no thread and no process when the gem is required, or a client is built" do
    script = <<~RUBY
      require "encrypted_s3_service"
      EncryptedS3Service::Client.new(bucket: "b", region: "eu-central-1", encryption_key: "k" * 32)
      print Dir.children("/proc/self/task").size
    RUBY
    skip "counts threads by /proc" unless File.directory?("/proc/self/task")
    lib = File.expand_path("../../lib", __dir__)
    plain, = Open3.capture2(RbConfig.ruby, "-e", 'print Dir.children("/proc/self/task").size')
    ours, = Open3.capture2(RbConfig.ruby, "-I", lib, "-e", script)
    expect(ours).to eq(plain)
  end

  it "loads without a warning if Ruby shows all of them" do
    lib = File.expand_path("../../lib", __dir__)
    output, status = Open3.capture2e(RbConfig.ruby, "-w", "-W:deprecated", "-W:experimental", "-I", lib,
                                     "-e", 'require "encrypted_s3_service"')
    expect([output, status.success?]).to eq(["", true])
  end

  it "works without Rails" do
    script = <<~RUBY
      require "encrypted_s3_service"
      EncryptedS3Service::Client
      print [defined?(Rails), defined?(ActiveSupport)].inspect
    RUBY
    output, = Open3.capture2(RbConfig.ruby, "-I", File.expand_path("../../lib", __dir__), "-e", script)
    expect(output).to eq("[nil, nil]")
  end
end
