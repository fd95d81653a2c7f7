# frozen_string_literal: true

require_relative "../support/examined_service"
require_relative "../support/fault_proxy"
require_relative "../support/http_proxy_server"
require_relative "../support/quirky_stores"

RSpec.describe EncryptedS3Service::Doctor do
  include_context "with an entry to examine"

  describe "of the permissions" do
    { "PutObject" => "uploads", "DeleteObject" => "purging files" }.each do |operation, use|
      it "reports that s3:#{operation} is missing, and its purpose" do
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

    it "reports that s3:AbortMultipartUpload is missing" do
      FaultProxy.run(server.endpoint) do |proxy|
        proxy.fault("AbortMultipartUpload", **denied)
        expect(examine(endpoint: proxy.endpoint)).to be(false)
        expect(findings["s3:AbortMultipartUpload"]).to match(["FAILED", /refused \(403 AccessDenied\).*remains/])
      end
    end

    it "reports that reading or listing is missing" do
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

  it "works with credentials of a profile" do
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

  it "uses the address of the client, with an endpoint of the environment and no path style" do
    before = ENV.fetch("AWS_ENDPOINT_URL_S3", nil)
    ENV["AWS_ENDPOINT_URL_S3"] = server.endpoint
    expect(examine(endpoint: nil, force_path_style: nil)).to be(true), output.string
    expect(findings["endpoint"].last).to include(server.endpoint)
  ensure
    ENV["AWS_ENDPOINT_URL_S3"] = before
  end

  it "aborts the upload that it has started although the responses get lost" do
    FaultProxy.run(server.endpoint) do |proxy|
      proxy.fault("AbortMultipartUpload", times: 3, drop: :after)
      expect(examine(endpoint: proxy.endpoint)).to be(true)
    end
    expect(findings["s3:AbortMultipartUpload"]).to eq(%w[ok allowed])
    expect_nothing_left
  end

  it "leaves nothing behind in a versioned bucket, and explains versioning" do
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

  it "reports that keys cannot be rotated if the store keeps the old metadata" do
    CopyIgnoringStore.run(server.endpoint) do |store|
      expect(examine(endpoint: store.endpoint)).to be(true)
      expect(findings["rotation"]).to match(["warning", /impossible: .* did not\. Rotate with REENCRYPT=true/])
      expect_nothing_left
    end
  end

  it "works with a store like Cloudflare R2, which accepts no part larger than the first" do
    EqualPartsStore.run(server.endpoint) do |store|
      expect(examine(endpoint: store.endpoint)).to be(true)
      expect(statuses["round trip, 20 MiB"]).to eq("ok")
    end
  end

  it "names the region of the bucket if it is another" do
    FaultProxy.run(server.endpoint) do |proxy|
      proxy.fault("GetObject", status: 400, answer: "<Error><Code>AuthorizationHeaderMalformed</Code>" \
                                                    "<Region>eu-west-3</Region></Error>")
      expect(examine(endpoint: proxy.endpoint)).to be(false)
      expect(findings["region"]).to match(["FAILED", /wrong for this bucket/])
    end
  end

  it "reports that new files go to an archive" do
    FaultProxy.run(server.endpoint) do |proxy|
      proxy.fault("GetObject", skip: 4, **denied("InvalidObjectState"))
      examine(endpoint: proxy.endpoint)
      expect(findings["s3:GetObject"]).to match(["FAILED", /archived and cannot be read\. Set another `upload\.stor/])
    end
  end

  it "uses the proxy and the prefix of the entry" do
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
end
