# frozen_string_literal: true

require "open3"
require "pathname"

RSpec.describe EncryptedS3Service::Configuration, "with root" do
  def configuration(**options) = described_class.new(encryption_key: TestStore::KEY, **options)

  it "keeps files in the folder, a String or a Pathname, with no bucket and no connection" do
    [Pathname("/srv/files"), "/srv/files", "/srv/./x/../files/"].each do |root|
      settings = configuration(root: root, prefix: "a", memory_limit: 1 << 20, public: true,
                               upload: { part_size: 5 << 20, multipart_threshold: 5 << 20, concurrency: 2 })
      expect(settings.root).to eq("/srv/files")
      expect(settings.bucket).to be_nil
      expect(settings).to be_complete
      expect(settings.to_native).to include(root: "/srv/files", bucket: nil)
      expect(settings.inspect).to include("/srv/files")
    end
    expect(configuration(root: "files").root).to eq(File.join(Dir.pwd, "files"))
  end

  # There, names of folders are bytes.
  it "may be in a folder with a name that is not ASCII, in the locale C too" do
    Dir.mktmpdir do |folder|
      Dir.mkdir("#{folder}/ü")
      code = <<~'RUBY'
        require "encrypted_s3_service"
        key = "schl\u00FCssel"
        ["files", "f\u00FCr", Pathname.pwd.join("path"), "#{Dir.pwd}/bytes"].each do |root|
          client = EncryptedS3Service::Client.new(root: root, encryption_key: "k" * 32)
          client.upload(key, StringIO.new("text"))
          names = [key, key.b, key.dup.force_encoding("US-ASCII")]
          puts "#{client.configuration.root.encoding} #{names.map { |name| client.download(name) }}"
        end
      RUBY
      library = File.expand_path("../../lib", __dir__)
      output, status = Open3.capture2e({ "LC_ALL" => "C" }, RbConfig.ruby, "-I", library, "-rstringio", "-rpathname",
                                       "-e", code, chdir: "#{folder}/ü")
      expect(status).to be_success, output
      expect(output.lines(chomp: true)).to eq([%(UTF-8 ["text", "text", "text"])] * 4)
      expect(Dir.children("#{folder}/ü")).to match_array(%w[files für path bytes])
    end
  end

  ["~/files", "~", "file:///srv/files", "s3://files/a"].each do |root|
    it "does not accept #{root} as a folder" do
      expect { configuration(root: root) }
        .to raise_error(EncryptedS3Service::ConfigurationError, /\Aroot must be the path of a folder, without ~/)
    end
  end

  it "names the empty setting" do
    ["", nil].each do |root|
      expect { configuration(root: root) }.to raise_error(EncryptedS3Service::ConfigurationError, /\Aroot is empty/)
    end
    expect { configuration }.to raise_error(EncryptedS3Service::ConfigurationError, /\Abucket is missing/)
  end

  it "creates no folder for the check" do
    Dir.mktmpdir do |folder|
      EncryptedS3Service::Client.new(configuration(root: "#{folder}/new"))
      expect(Dir.children(folder)).to eq([])
    end
  end

  named = { bucket: "b", region: "eu-central-1", endpoint: "https://s3.example.com", force_path_style: false,
            use_accelerate_endpoint: false, use_dualstack_endpoint: true, use_fips_endpoint: true,
            access_key_id: "id", secret_access_key: "secret", session_token: "token", profile: "p",
            instance_profile_credentials_timeout: 1, instance_profile_credentials_retries: 1, http_open_timeout: 1,
            http_read_timeout: 1, http_idle_timeout: 1, http_proxy: "http://proxy:3128", retry_limit: 1,
            max_attempts: 2, retry_mode: "standard", ssl_ca_bundle: "/ca.pem", ssl_ca_directory: "/ca",
            request_checksum_calculation: "when_required", response_checksum_validation: "when_required",
            compute_checksums: true }

  it "has a list of every setting of a connection here" do
    expect(named.keys).to match_array(EncryptedS3Service::Configuration::Connection::NAMES + [:bucket])
  end

  named.each do |name, value|
    it "refuses #{name} by its name" do
      expect { configuration(root: "/srv/files", name => value) }
        .to raise_error(EncryptedS3Service::ConfigurationError, /\A#{name} cannot be used with root/)
    end

    it "accepts an entry with an empty #{name}" do
      expect(configuration(root: "/srv/files", name => nil).root).to eq("/srv/files")
    end
  end

  EncryptedS3Service::Configuration::OBJECT_NAMES.each do |name|
    it "refuses upload.#{name} by its name" do
      expect { configuration(root: "/srv/files", upload: { name => "true" }) }
        .to raise_error(EncryptedS3Service::ConfigurationError, /\Aupload\.#{name} cannot be used with root/)
    end
  end

  it "requires a key like any other entry" do
    expect { described_class.new(root: "/srv/files") }
      .to raise_error(EncryptedS3Service::ConfigurationError, /encryption_key is missing/)
  end
end
