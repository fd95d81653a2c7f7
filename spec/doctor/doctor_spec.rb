# frozen_string_literal: true

require "encrypted_s3_service/doctor"
require_relative "../support/doctor_findings"
require_relative "../support/fault_proxy"
require_relative "../support/http_proxy_server"
require_relative "../support/quirky_stores"
require_relative "../support/tls_proxy"

RSpec.describe EncryptedS3Service::Doctor do
  include DoctorFindings

  let(:key) { EncryptedS3Service::EncryptionKey.generate }
  let(:output) { StringIO.new }

  def unfinished = server.multipart_uploads(bucket).map { |upload| upload[:key] }.grep(/\Aencrypted_s3_service-doctor/)

  # Some examples forbid the removal.
  before { @unfinished_before = unfinished }
  after { probes.each { |probe| server.delete(bucket, probe) } }

  def entry(**overrides)
    { service: "EncryptedS3", **server.storage_yml(bucket).transform_keys(&:to_sym), encryption_key: key, **overrides }
  end

  def examine(**) = described_class.new({ "encrypted" => entry(**) }, output: output).run

  def statuses = findings.transform_values(&:first)

  def probes = server.list(bucket, prefix: "encrypted_s3_service-doctor/")

  # Objects, and multipart uploads that were begun.
  def expect_nothing_left
    expect(probes).to eq([])
    expect(unfinished - @unfinished_before).to eq([])
  end

  def denied(code = "AccessDenied") = { status: 403, answer: "<Error><Code>#{code}</Code></Error>" }

  it "finds a service well that is, and leaves nothing in its bucket" do
    expect(examine).to be(true)
    expect(statuses).to eq(
      "configuration" => "ok", "key" => "ok", "endpoint" => "ok", "clock" => "ok", "credentials" => "ok",
      "bucket" => "ok", "checksums" => "ok", "response checksums" => "ok", "s3:PutObject" => "ok",
      "s3:GetObject" => "ok", "s3:ListBucket" => "ok", "s3:AbortMultipartUpload" => "ok", "public access" => "ok",
      "round trip, 1 KiB" => "ok", "round trip, 20 MiB" => "ok", "rotation" => "ok",
      "segment maps" => "ok", "bulk deletion" => "ok",
      "s3:DeleteObject" => "ok", "versioning" => "ok", "lifecycle" => "hint"
    )
    expect(output.string).to start_with("encrypted: bucket #{bucket}\n")
      .and end_with("No check failed.\n")
    expect_nothing_left
  end

  it "has looked at the bytes in the bucket, which are those of the file and a tag" do
    examine
    expect(findings["round trip, 1 KiB"].last).to include("bucket has 1040 bytes without the plaintext")
    expect(findings["round trip, 20 MiB"].last).to include("bucket has 20971528 bytes without the plaintext")
  end

  it "sends the large file in parts, whatever the entry's threshold" do
    FaultProxy.run(server.endpoint) do |proxy|
      examine(endpoint: proxy.endpoint, upload: { multipart_threshold: 64 << 20, part_size: 64 << 20 })
      expect(proxy.requests("UploadPart").map(&:part).sort).to eq([1, 2, 3, 4, 5])
    end
  end

  it "shows no key, no credential and no signature, not even in colours on a terminal" do
    allow(output).to receive(:tty?).and_return(true)
    examine
    expect(output.string).to include("\e[32mok")
    [key, key.delete_prefix("base64:"), server.secret_access_key, server.access_key_id, "Signature", "X-Amz"]
      .each { |secret| expect(output.string).not_to include(secret) }
  end

  it "aligns its lines" do
    examine
    lines = output.string.lines.grep(/\A  /)
    expect(lines.map { |line| line.match(/\A  \w+ +\S.*?  +/).end(0) }.uniq.size).to eq(1)
  end

  it "examines every EncryptedS3 service, and no other" do
    entries = { "one" => entry, "disk" => { "service" => "Disk", "root" => "/nowhere" },
                "two" => entry(bucket: "no-such-bucket").transform_keys(&:to_s) }
    expect(described_class.new(entries, output: output).run).to be(false)
    expect(output.string.lines.grep(/^\w+: bucket/).join).to match(/\Aone: .*\ntwo: .*\n\z/)
  end

  it "examines the one that it is told" do
    entries = { one: entry(bucket: "no-such-bucket"), two: entry }
    expect(described_class.new(entries, output: output).run("two")).to be(true)
    expect(output.string).not_to include("one: ")
  end

  it "says which services there are when it is told another" do
    expect { described_class.new({ one: entry, disk: { service: "Disk" } }, output: output).run("disk") }
      .to raise_error(EncryptedS3Service::ConfigurationError, /no EncryptedS3 service "disk"\..*storage.yml has one\./)
    expect { described_class.new({ disk: { service: "Disk" } }, output: output).run }
      .to raise_error(EncryptedS3Service::ConfigurationError, /no entry with `service: EncryptedS3`.*install/)
  end

  describe "of segment maps" do
    def examine_with(operation, answer, **)
      FaultProxy.run(server.endpoint) do |proxy|
        denying = ->(request) { request.target.include?("/segments.segments") }
        proxy.fault(operation, only: denying, **answer)
        examine(endpoint: proxy.endpoint, **)
      end
      findings["segment maps"]
    end

    it "warns when they cannot be stored, which is no failure" do
      expect(examine_with("PutObject", denied))
        .to match(["warning", /stored without them \(403 AccessDenied\).*\.segments/])
      expect(output.string).to end_with("No check failed.\n")
    end

    it "warns when they cannot be read" do
      expect(examine_with("GetObject", denied)).to match(["warning", /cannot be read.*s3:GetObject/])
    end

    it "says that they cannot be deleted" do
      expect(examine_with("DeleteObject", denied)).to match(["skipped", /not allowed \(403 AccessDenied\)/])
      server.list(bucket, prefix: "encrypted_s3_service-doctor/").each { |key| server.delete(bucket, key) }
    end

    it "skips them where there are to be none" do
      examine(segment_index: false)
      expect(findings["segment maps"]).to eq(["skipped", "`segment_index` is false"])
    end
  end

  describe "of the settings" do
    it "names one that is not known, and asks the store for nothing" do
      expect(examine(regoin: "x")).to be(false)
      expect(findings["configuration"]).to match(["FAILED", /regoin is not a setting.*Did you mean region/])
      expect(statuses).not_to include("endpoint")
    end

    it "does not show credentials that were put into the endpoint" do
      examine(endpoint: "https://id:c0nfidential@s3.example.com")
      expect(findings["configuration"]).to match(["FAILED", /endpoint must be a URL.*without credentials/])
      expect(output.string).not_to include("c0nfidential")
    end

    it "tells a wrong setting and a wrong key apart" do
      examine(encryption_key: "short", bucket: nil)
      expect(findings["configuration"]).to eq(["FAILED", "bucket is missing"])
      expect(findings["key"]).to match(["FAILED", /exactly 32 bytes, not 5/])
    end
  end

  describe "of the key" do
    def key_finding(value)
      examine(encryption_key: value, endpoint: "http://127.0.0.1:1")
      findings["key"]
    end

    it "says how to make one when it is missing" do
      expect(key_finding(nil)).to match(["FAILED", /missing\. Generate one with .*encrypted_s3_service:generate_key/])
      expect(statuses["configuration"]).to eq("ok")
    end

    it "examines the store all the same" do
      expect(examine(encryption_key: nil)).to be(false)
      expect(statuses.values.count("FAILED")).to eq(1)
      expect(statuses["round trip, 20 MiB"]).to eq("ok")
    end

    it "does not take one of a wrong length" do
      expect(key_finding("base64:#{["k" * 16].pack("m0")}")).to match(["FAILED", /exactly 32 bytes, not 16/])
    end

    it "does not take one byte repeated, a sequence or a short word again and again" do
      ["\0" * 32, (0..31).to_a.pack("C*"), "password" * 4].each do |bytes|
        output.truncate(output.rewind)
        expect(key_finding("base64:#{[bytes].pack("m0")}")).to match(["FAILED", /guessable.*Keep this one/])
      end
    end

    it "advises against text that a person wrote" do
      status, text = key_finding("The quick brown fox jumps over12")
      expect([status, text]).to match(["warning", /printable text.*generate_key/])
      expect(text).not_to include("quick")
    end

    it "shows the key's id, which every object shows too" do
      expect(key_finding(key)).to eq(["ok", "32 bytes, id #{EncryptedS3Service::EncryptionKey.new(key).id}"])
    end
  end

  describe "of the store" do
    it "says when nobody answers, and stops there" do
      examine(endpoint: "http://127.0.0.1:1")
      expect(findings["endpoint"]).to match(["FAILED", %r{http://127\.0\.0\.1:1 does not respond: .*connection}i])
      expect(findings.keys.last).to eq("endpoint")
    end

    it "says when its certificate is not trusted" do
      skip "needs the plain server" unless server.endpoint.start_with?("http:")
      examine(endpoint: server.endpoint.sub("http:", "https:"))
      expect(findings["endpoint"]).to match(["FAILED", /does not respond: /])
    end

    it "fails a clock that is more than five minutes off, in either direction" do
      { 400 => "behind", -400 => "ahead of" }.each do |seconds, word|
        SkewedStore.run(server.endpoint, seconds) do |store|
          output.truncate(output.rewind)
          expect(examine(endpoint: store.endpoint)).to be(false)
          expect(findings["clock"]).to match(["FAILED", /\A(399|400|401) seconds #{word} the store's.*NTP/])
        end
      end
    end

    it "lets a clock be that is a little off" do
      SkewedStore.run(server.endpoint, 120) do |store|
        examine(endpoint: store.endpoint)
        expect(findings["clock"]).to match(["ok", /\A(119|120|121) seconds behind the store's/])
      end
    end

    it "says which credential is wrong" do
      expect(examine(secret_access_key: "wrong")).to be(false)
      expect(findings["credentials"]).to match(["FAILED", /SignatureDoesNotMatch.*secret_access_key/])
      expect(findings.keys.last).to eq("credentials")
    end

    it "says when the bucket is missing" do
      examine(bucket: "no-such-bucket")
      expect(statuses["credentials"]).to eq("ok")
      expect(findings["bucket"]).to match(["FAILED", /"no-such-bucket" does not exist/])
    end

    it "says when everybody may read the bucket" do
      OpenStore.run(server.endpoint, server) do |store|
        expect(examine(endpoint: store.endpoint)).to be(true)
        expect(findings["public access"]).to match(["warning", /anybody can read.*ciphertext/])
      end
    end

    it "says what to set for a store that refuses checksums, and goes on without them" do
      ChecksumRefusingStore.run(server.endpoint) do |store|
        expect(examine(endpoint: store.endpoint)).to be(false)
        expect(findings["checksums"])
          .to match(["FAILED", /400 InvalidArgument.*Set `request_checksum_calculation: when_required`/])
        expect(statuses.values.count("FAILED")).to eq(1)
        expect_nothing_left
      end
    end

    it "is content with such a store when that is set" do
      ChecksumRefusingStore.run(server.endpoint) do |store|
        expect(examine(endpoint: store.endpoint, request_checksum_calculation: "when_required")).to be(true)
        expect(findings["checksums"]).to match(["ok", /as this store needs it/])
      end
    end
  end

  describe "of the permissions" do
    { "PutObject" => "uploads", "DeleteObject" => "purging files" }.each do |operation, use|
      it "says that s3:#{operation} is missing, and for what it is needed" do
        FaultProxy.run(server.endpoint) do |proxy|
          proxy.fault(operation, **denied)
          expect(examine(endpoint: proxy.endpoint)).to be(false)
          expect(findings["s3:#{operation}"])
            .to match(["FAILED", /refused \(403 AccessDenied\), but needed for #{use}/])
          expect(statuses.except("s3:#{operation}").values).not_to include("FAILED")
        end
      end
    end

    it "names the probes that it could not remove" do
      FaultProxy.run(server.endpoint) do |proxy|
        proxy.fault("DeleteObject", **denied)
        examine(endpoint: proxy.endpoint)
      end
      expect(findings["probes"].first).to eq("warning")
      names = findings["probes"].last.scan(%r{encrypted_s3_service-doctor/[\w/-]+(?:\.segments)?})
      expect(names).to match_array(probes)
    end

    it "says that s3:AbortMultipartUpload is missing" do
      FaultProxy.run(server.endpoint) do |proxy|
        proxy.fault("AbortMultipartUpload", **denied)
        expect(examine(endpoint: proxy.endpoint)).to be(false)
        expect(findings["s3:AbortMultipartUpload"]).to match(["FAILED", /refused \(403 AccessDenied\).*remains/])
      end
    end

    it "says that reading or listing is missing" do
      FaultProxy.run(server.endpoint) do |proxy|
        proxy.fault("GetObject", **denied)
        expect(examine(endpoint: proxy.endpoint)).to be(false)
        expect(findings["bucket"]).to match(["warning", /403 AccessDenied/])
        expect(statuses).to include("s3:PutObject" => "ok", "s3:GetObject" => "FAILED", "s3:ListBucket" => "FAILED",
                                    "s3:DeleteObject" => "ok", "round trip, 1 KiB" => "skipped")
        expect_nothing_left
      end
    end
  end

  it "finds all out with credentials of a profile, too" do
    before = ENV.to_h.slice("AWS_PROFILE", "AWS_SHARED_CREDENTIALS_FILE")
    Tempfile.create("credentials") do |file|
      file.write("[spec]\naws_access_key_id = #{server.access_key_id}\n" \
                 "aws_secret_access_key = #{server.secret_access_key}\n")
      file.close
      ENV["AWS_SHARED_CREDENTIALS_FILE"] = file.path
      expect(examine(access_key_id: nil, secret_access_key: nil, profile: "spec")).to be(true)
    end
    expect(statuses.values).not_to include("skipped")
    expect(findings["s3:AbortMultipartUpload"]).to eq(%w[ok allowed])
    expect(findings["round trip, 20 MiB"].last).to include("bucket has 20971528 bytes")
    expect_nothing_left
  ensure
    ENV.update({ "AWS_PROFILE" => nil, "AWS_SHARED_CREDENTIALS_FILE" => nil, **before })
  end

  it "looks for the bucket where the client does, with an endpoint of the environment and no path style" do
    before = ENV.fetch("AWS_ENDPOINT_URL_S3", nil)
    ENV["AWS_ENDPOINT_URL_S3"] = server.endpoint
    expect(examine(endpoint: nil, force_path_style: nil)).to be(true), output.string
    expect(findings["endpoint"].last).to include(server.endpoint)
  ensure
    ENV["AWS_ENDPOINT_URL_S3"] = before
  end

  it "aborts the upload that it has begun although the answers get lost" do
    FaultProxy.run(server.endpoint) do |proxy|
      proxy.fault("AbortMultipartUpload", times: 3, drop: :after)
      expect(examine(endpoint: proxy.endpoint)).to be(true)
    end
    expect(findings["s3:AbortMultipartUpload"]).to eq(%w[ok allowed])
    expect_nothing_left
  end

  it "leaves nothing behind in a bucket that keeps versions, and says what that means" do
    versioned = "versions-#{SecureRandom.hex(4)}"
    server.create_bucket(versioned)
    enabled = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
    ask = ->(method, query, body = nil) { server.send(:request, method, "/#{versioned}", query: query, body: body) }
    expect(ask.call("PUT", { "versioning" => "" }, enabled).first).to eq(200)
    expect(examine(bucket: versioned)).to be(true)
    expect(findings["versioning"]).to match(["hint", /enabled: purged .* files remain as older versions/])
    expect(ask.call("GET", { "versions" => "" }).last).not_to match(/<Key>/)
    expect(statuses).not_to include("probes")
  end

  it "says that keys cannot be rotated where the store keeps the old metadata" do
    CopyIgnoringStore.run(server.endpoint) do |store|
      expect(examine(endpoint: store.endpoint)).to be(true)
      expect(findings["rotation"]).to match(["warning", /impossible: .* did not\. Rotate with REENCRYPT=true/])
      expect_nothing_left
    end
  end

  it "goes through a store like Cloudflare R2, which takes no part that is larger than the first" do
    EqualPartsStore.run(server.endpoint) do |store|
      expect(examine(endpoint: store.endpoint)).to be(true)
      expect(statuses["round trip, 20 MiB"]).to eq("ok")
    end
  end

  it "says when another region is the bucket's" do
    FaultProxy.run(server.endpoint) do |proxy|
      proxy.fault("GetObject", status: 400, answer: "<Error><Code>AuthorizationHeaderMalformed</Code>" \
                                                    "<Region>eu-west-3</Region></Error>")
      expect(examine(endpoint: proxy.endpoint)).to be(false)
      expect(findings["region"]).to match(["FAILED", /wrong for this bucket/])
    end
  end

  it "says when new files go to an archive" do
    FaultProxy.run(server.endpoint) do |proxy|
      proxy.fault("GetObject", skip: 4, **denied("InvalidObjectState"))
      examine(endpoint: proxy.endpoint)
      expect(findings["s3:GetObject"]).to match(["FAILED", /archived and cannot be read\. Set another `upload\.stor/])
    end
  end

  it "goes the way of the files: through the proxy, and into the folder of the entry" do
    port = URI(server.endpoint).port
    HttpProxyServer.run(port) do |proxy|
      url = proxy.url("me:s3cret")
      expect(examine(endpoint: "http://s3.proxied.test:#{port}", http_proxy: url, prefix: "of/a/customer")).to be(true)
      expect(proxy.asked.grep(%r{/of/a/customer/encrypted_s3_service-doctor/}).size).to be > 20
      expect(findings["endpoint"].last).to include("through the proxy 127.0.0.1:#{URI(url).port} responds")
    end
    expect(output.string).not_to include("s3cret")
    expect(server.list(bucket, prefix: "of/a/customer/")).to eq([])
    expect_nothing_left
  end

  describe "of a service behind a proxy of the environment" do
    names = %w[HTTP_PROXY http_proxy HTTPS_PROXY https_proxy NO_PROXY no_proxy]

    around do |example|
      before = names.to_h { |name| [name, ENV.delete(name)] }
      example.run
    ensure
      ENV.update(before)
    end

    let(:endpoint) { "http://s3.proxied.test:#{URI(server.endpoint).port}" }

    it "goes through it and names it, without its password" do
      HttpProxyServer.run(URI(endpoint).port) do |proxy|
        ENV["http_proxy"] = proxy.url("me:s3cret")
        expect(examine(endpoint: endpoint)).to be(true)
        expect(findings["endpoint"].last).to include("through the proxy 127.0.0.1:#{URI(proxy.url).port} of the env")
      end
      expect(output.string).not_to include("s3cret")
    end

    it "goes through the one of the entry if there are two" do
      ENV["http_proxy"] = "http://nowhere.test:1"
      HttpProxyServer.run(URI(endpoint).port) do |proxy|
        examine(endpoint: endpoint, http_proxy: proxy.url)
        expect(findings["endpoint"].last).to include("through the proxy 127.0.0.1:#{URI(proxy.url).port} responds")
      end
    end

    it "names none where the store is reached directly" do
      ENV.update("http_proxy" => "http://nowhere.test:1", "HTTPS_PROXY" => "http://nowhere.test:1")
      expect(examine).to be(true)
      expect(findings["endpoint"].last).not_to include("proxy")
    end
  end

  it "says what is wrong with a certificate, and not to look at the network" do
    TlsProxy.run(URI(server.endpoint), :expired) do |tls|
      examine(endpoint: tls.endpoint)
      expect(findings["endpoint"]).to match(["FAILED", /does not respond: .*certificate/i])
      expect(findings["endpoint"].last).not_to include("network")
    end
  end

  describe "of a service with a folder" do
    around { |example| Dir.mktmpdir { |folder| @root = File.join(folder, "files") and example.run } }

    def examine(**overrides)
      entry = { service: "EncryptedS3", root: @root, encryption_key: key, **overrides }
      described_class.new({ "encrypted" => entry }, output: output).run
    end

    it "tries what a folder can do, and leaves nothing in it" do
      expect(examine).to be(true), output.string
      expect(statuses).to eq("configuration" => "ok", "key" => "ok", "folder" => "ok", "round trip, 1 KiB" => "ok",
                             "round trip, 20 MiB" => "ok", "rotation" => "ok", "segment maps" => "ok",
                             "bulk deletion" => "ok")
      expect(output.string).to start_with("encrypted: folder #{@root}\n").and end_with("No check failed.\n")
      left = Dir.glob("**/*", File::FNM_DOTMATCH, base: @root).select { |name| File.file?(File.join(@root, name)) }
      expect(left).to eq([".encrypted_s3/lock"])
    end

    it "says which folder cannot be written to, and tries nothing else" do
      File.write(@root, "a file")
      expect(examine).to be(false)
      expect(findings["folder"]).to match(["FAILED", /cannot .*#{@root}.*Check `root`/])
      expect(statuses.keys).to eq(%w[configuration key folder])
    end

    it "warns of it in production" do
      stub_const("Rails", Module.new { def self.env = Class.new { def production? = true }.new })
      examine
      expect(findings["folder"]).to match(["warning", /is on this machine only.*set `bucket`/])
    end

    it "names a setting that belongs to a bucket" do
      examine(region: "eu-central-1")
      expect(findings["configuration"]).to match(["FAILED", /\Aregion cannot be used with root/])
    end
  end

  it "removes its probes when it is interrupted" do
    FaultProxy.run(server.endpoint) do |proxy|
      proxy.fault("UploadPart", times: 1) { Thread.main.raise(Interrupt) }
      expect { examine(endpoint: proxy.endpoint) }.to raise_error(Interrupt)
    end
    expect_nothing_left
  end

  it "says when what comes back is not what was stored" do
    client = instance_double(EncryptedS3Service::Client, upload: nil, delete: nil, download: "something else")
    service = instance_double(described_class::ExaminedService, client: client, probe: "probe", gone: nil)
    expect(described_class::SmallRoundTripCheck.new(service).call)
      .to have_attributes(status: :failed, text: "the downloaded file is not the stored one")
  end
end
