# frozen_string_literal: true

require_relative "../rails_helper"

# The resolver returns values that a tenant's users have typed in.
RSpec.describe EncryptedS3Service::ResolvedEntry do
  let(:refused) { EncryptedS3Service::ConfigurationError }
  let(:plain_entry) do
    { service: "EncryptedS3", bucket: "theirs", region: "eu-central-1", access_key_id: "id", secret_access_key: "s",
      encryption_key: "k" * 32 }
  end

  # The application's handling of an entry with these settings.
  def service(settings)
    EncryptedS3Service::ResolvedServices.new([->(_) { { **plain_entry, **settings }.compact }]).fetch("theirs")
  end

  def tenants_services(keys)
    EncryptedS3Service::ResolvedServices.new([EncryptedS3Service::TenantKeys.resolver({ encrypted: keys })])
  end

  def with_settings(**values)
    values.each { |name, value| EncryptedS3Service.settings[name] = value }
    yield
  ensure
    values.each_key { |name| EncryptedS3Service.settings[name] = nil }
  end

  it "accepts entries that lead only to a store in the internet" do
    [{}, { endpoint: "https://198.41.0.4" },
     { endpoint: "https://[2606:4700::1111]:8443/path", force_path_style: true },
     { endpoint: nil, region: nil, bucket: "arn:aws:s3:us-west-2:123456789012:accesspoint/theirs" },
     { encryption_key: "base64:#{["k" * 32].pack("m0")}" },
     { encryption_key: OpenSSL::PKey::RSA.new(2048).to_pem },
     { decryption_keys: { "old" => "o" * 32, "older" => { key: "p" * 32 } } }].each do |entry|
      expect(service(entry)).to be_a(ActiveStorage::Service::EncryptedS3Service)
    end
  end

  describe "files of the server" do
    around do |example|
      Dir.mktmpdir do |folder|
        @key_file = File.join(folder, "key").tap { |path| File.binwrite(path, "k" * 32) }
        example.run
      end
    end

    attr_reader :key_file

    # Each of them would be taken from storage.yml.
    def entries
      [{ encryption_key: "file:#{key_file}" }, { encryption_key: Pathname(key_file) },
       { decryption_keys: { "a" => "file:#{key_file}" } }, { decryption_keys: ["k" * 32, "file:#{key_file}"] },
       { decryption_keys: [{ id: "a", key: Pathname(key_file) }] }]
    end

    it "are not read as keys, and the message is the same whether they exist or not" do
      missing = key_file.sub("key", "none")
      messages = entries.flat_map do |entry|
        other = Marshal.load(Marshal.dump(entry.transform_values { |value| swap(value, missing) }))
        [entry, other].map { |form| refusal_of(form) }
      end
      expect(messages).to all(match(/names? a file.*trusted_resolver/))
      expect(messages.each_slice(2)).to all(satisfy { |one, two| one == two })
      expect(messages.join).not_to include(key_file)
    end

    def swap(value, path)
      case value
      when Hash then value.transform_values { |inner| swap(inner, path) }
      when Array then value.map { |inner| swap(inner, path) }
      when Pathname then Pathname(path)
      else value.to_s.start_with?("file:") ? "file:#{path}" : value
      end
    end

    def refusal_of(entry)
      service(entry)
      "taken"
    rescue refused => e
      e.message
    end

    it "are read if the application trusts its resolver" do
      with_settings(trusted_resolver: true) do
        expect(entries.map { |entry| service(entry).client.configuration.encryption_key.bytes }).to all(eq("k" * 32))
      end
    end

    it "are not read as a tenant's key either" do
      keys = { "1" => "file:#{key_file}", "2" => Pathname(key_file), "3" => " FILE:#{key_file}" }
      services = tenants_services(keys)
      %w[1 2].each do |id|
        expect { services.fetch("encrypted@#{id}") }
          .to raise_error(refused, /key of the service `encrypted@#{id}` must be given directly/)
      end
      expect { services.fetch("encrypted@3") }.to raise_error(refused)
      with_settings(trusted_resolver: true) do
        expect(tenants_services(keys).fetch("encrypted@1").client.configuration.encryption_key.bytes).to eq("k" * 32)
      end
    end

    it "are not named by any setting" do
      { ssl_ca_bundle: key_file, ssl_ca_directory: "/etc", root: "/etc", profile: "production", http_proxy: "http://10.0.0.1:3128",
        region: Pathname("/etc/passwd"), upload: { cache_control: "file:/etc/passwd" } }.each do |name, value|
        expect { service(name => value) }.to raise_error(refused, /`theirs` is refused: #{name}.*of this server/)
      end
    end

    it "are not written by other kinds of services" do
      ["Disk", "GCS", :Disk, "Test"].each do |kind|
        expect { service(service: kind, root: "/etc") }.to raise_error(refused, /service: #{kind} can store files/)
      end
      with_settings(trusted_resolver: true) do
        disk = EncryptedS3Service::ResolvedServices.new([->(_) { { service: "Disk", root: Dir.tmpdir } }])
        expect(disk.fetch("theirs")).to be_a(ActiveStorage::Service::DiskService)
      end
    end
  end

  it "accepts only plain names in the parts of addresses" do
    { region: ["eu.evil.example/", "x@evil.example#", "eu central", "eu/../..", "-"],
      bucket: ["evil.example/", "a@b", "a#", "a b", "a\nb", "..", "arn:aws:s3:::a b"] }.each do |setting, values|
      values.each do |value|
        expect { service(setting => value) }.to raise_error(refused, /#{setting} is not a plain name/), value.inspect
      end
    end
  end

  describe "addresses of the server's own network" do
    inside = %w[
      127.0.0.1 127.1 127.255.255.254 0.0.0.0 0 10.0.0.1 172.16.0.1 172.31.255.254 192.168.1.1 169.254.169.254
      169.254.170.2 100.100.100.200 100.64.0.1 192.0.0.192 168.63.129.16 224.0.0.1 255.255.255.255
      2130706433 017700000001 0x7f000001 0x7F.1 0177.0.0.1 0xa9.0xfe.0xa9.0xfe 2852039166 0251.0376.0251.0376
      [::1] [::] [::127.0.0.1] [::ffff:127.0.0.1] [::ffff:a9fe:a9fe] [64:ff9b::7f00:1] [64:ff9b::169.254.169.254]
      [2002:7f00:1::] [2002:a9fe:a9fe::1] [2001:0:5ef5:79fd::5601:5601] [fe80::1] [fc00::1] [fd00:ec2::254] [ff02::1]
      localhost LOCALHOST localhost. metadata.google.internal metadata.google.internal.
    ]

    inside.each do |host|
      it "are refused: #{host}" do
        %W[http://#{host} https://#{host}:9000/path].each do |endpoint|
          [true, false].each do |path_style|
            expect { service(endpoint: endpoint, force_path_style: path_style) }
              .to raise_error(refused, /endpoint (leads to|is not a URL).*trusted_resolver_endpoints/)
          end
        end
      end
    end

    it "are refused in every other notation" do
      ["http://user@127.0.0.1", "http://198.41.0.4@127.0.0.1/", "http://198.41.0.4\\@127.0.0.1", "http:127.0.0.1",
       "http://127.0.0.1#198.41.0.4", "http://127.0.0.1?198.41.0.4", "http://%31%32%37.0.0.1", "http://①②⑦.0.0.1",
       "http://127.0.0.1\t", "http://127。0。0。1", "http://[fe80::1%25lo]", "http://[::1", "http:///x",
       "ftp://198.41.0.4", "file:///etc/passwd", "http://127.0.0.1\nx", "//127.0.0.1", " http://127.0.0.1", "http://256.1.1.1",
       "http://1.2.3.4.5", "http://0x", "http://a..b"].each do |endpoint|
        expect { service(endpoint: endpoint) }.to raise_error(refused), endpoint.inspect
      end
    end

    it "are refused if the bucket's name in front of the host leads there" do
      expect { service(endpoint: "http://internal", bucket: "metadata.google") }.to raise_error(refused, /leads to/)
      expect(service(endpoint: "http://internal", bucket: "metadata.google", force_path_style: true)).to be
      expect(service(endpoint: "http://internal", bucket: "theirs")).to be
    end

    it "are refused when the name resolves there, as the machine's own name does" do
      own = Socket.getifaddrs.filter_map(&:addr).select(&:ip?)
      leads = Addrinfo.getaddrinfo(Socket.gethostname, 1, nil, :STREAM).map(&:ip_address)
      inside = own.select { |address| address.ipv4_private? || address.ipv4_loopback? }.map(&:ip_address)
      skip "this machine's own name leads elsewhere" unless (leads & [*inside, "127.0.1.1"]).any?

      expect { service(endpoint: "http://#{Socket.gethostname}") }.to raise_error(refused, /endpoint leads to/)
    end

    it "are allowed if the application lists them: as a host, with a port, with a scheme" do
      expect { service(endpoint: "http://127.0.0.1:9001") }.to raise_error(refused)
      ["127.0.0.1", "127.0.0.1:9001", "http://127.0.0.1:9001", "http://127.0.0.1:9001/"].each do |listed|
        with_settings(trusted_resolver_endpoints: [listed]) { expect(service(endpoint: "http://127.0.0.1:9001")).to be }
      end
      ["127.0.0.1:9002", "https://127.0.0.1:9001", "http://127.0.0.1", "127.0.0.2", "localhost"].each do |listed|
        with_settings(trusted_resolver_endpoints: listed) do
          expect { service(endpoint: "http://127.0.0.1:9001") }.to raise_error(refused), listed
        end
      end
    end

    it "are allowed if storage.yml has the same endpoint" do
      expect(service(endpoint: server.endpoint, force_path_style: true)).to be
    end
  end

  it "checks a mirror's own parts like any entry, and accepts those of storage.yml" do
    mirror = { service: "Mirror", primary: "encrypted", mirrors: %w[local] }
    service = EncryptedS3Service::ResolvedServices.new([->(_) { mirror }]).fetch("theirs")
    expect([service.name, service.primary.name, *service.mirrors.map(&:name)]).to eq([:theirs, "encrypted", "local"])
    { "nowhere" => /no service `nowhere`, .*`theirs`/, "theirs" => /contains itself/ }.each do |part, message|
      expect { described_class.new(:theirs, mirror.merge(mirrors: [part])).service }.to raise_error(refused, message)
    end
  end

  it "does not check a service that the application's own code has built" do
    disk = ActiveStorage::Blob.services.fetch(:local).dup
    expect(EncryptedS3Service::ResolvedServices.new([->(_) { disk }]).fetch("theirs")).to be(disk)
  end

  describe "keys in AWS KMS" do
    arn = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    in_kms = [{ encryption_key: nil, kms_key_id: arn }, { encryption_key: "kms:#{arn}" },
              { decryption_keys: ["kms:#{arn}"] }, { kms_allow_decrypt_with_any_cmk: true },
              { decryption_keys: { "old" => { kms_key_id: arn } } }]

    it "are used with the entry's own credentials and never with the server's" do
      in_kms.each do |entry|
        expect(service(entry)).to be_a(ActiveStorage::Service::EncryptedS3Service)
        expect { service({ **entry, access_key_id: nil, secret_access_key: nil }) }
          .to raise_error(refused, /keys in AWS KMS need access_key_id/)
        with_settings(trusted_resolver: true) do
          expect(service({ **entry, access_key_id: nil, secret_access_key: nil })).to be_truthy
        end
      end
    end

    it "are at Amazon's endpoint, or at another public address" do
      entry = { encryption_key: nil, kms_key_id: arn }
      expect { service({ **entry, kms_endpoint: "http://127.0.0.1:8080" }) }.to raise_error(refused, /kms_endpoint/)
      expect { service({ **entry, kms_region: "a.example.com/" }) }.to raise_error(refused, /kms_region/)
      expect(service({ **entry, kms_endpoint: "https://198.41.0.4" })).to be_truthy
    end
  end

  it "shows no key" do
    entry = described_class.new(:theirs, plain_entry)
    expect([entry.inspect, entry.to_json].join).not_to include("kkk")
  end
end
