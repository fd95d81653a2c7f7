# frozen_string_literal: true

require "encrypted_s3_service/doctor"

# Where the doctor's own requests go: to the same places as the client's.
RSpec.describe EncryptedS3Service::Doctor::StoreAddress do
  def address(**settings)
    described_class.new(EncryptedS3Service::Configuration.new(bucket: "files", encryption_key: "k" * 32, **settings))
  end

  def object(**) = address(**).object("a/b").to_s

  around do |example|
    names = %w[AWS_REGION AWS_DEFAULT_REGION AWS_ENDPOINT_URL_S3 AWS_ENDPOINT_URL]
    before = names.to_h { |name| [name, ENV.fetch(name, nil)] }
    names.each { |name| ENV.delete(name) }
    example.run
  ensure
    ENV.update(before)
  end

  it "has Amazon's buckets in the host's name" do
    expect(object(region: "eu-central-1")).to eq("https://files.s3.eu-central-1.amazonaws.com/a/b")
    expect(object(region: "cn-north-1")).to eq("https://files.s3.cn-north-1.amazonaws.com.cn/a/b")
  end

  it "has a bucket with dots in the path: there is no certificate for its name" do
    expect(object(region: "eu-central-1", bucket: "a.b")).to eq("https://s3.eu-central-1.amazonaws.com/a.b/a/b")
  end

  it "goes to the endpoint, with the bucket where the setting has it" do
    endpoint = "https://s3.example.com:8443"
    expect(object(endpoint: endpoint)).to eq("https://files.s3.example.com:8443/a/b")
    expect(object(endpoint: endpoint, force_path_style: true)).to eq("https://s3.example.com:8443/files/a/b")
    expect(object(endpoint: "#{endpoint}/store/", force_path_style: true)).to eq("#{endpoint}/store/files/a/b")
  end

  it "has the bucket in the path where the endpoint is an address" do
    expect(object(endpoint: "http://127.0.0.1:9000")).to eq("http://127.0.0.1:9000/files/a/b")
  end

  it "takes region and endpoint from the environment, as Amazon's SDKs do" do
    ENV["AWS_REGION"] = "eu-west-3"
    expect(address.region).to eq("eu-west-3")
    expect(object).to eq("https://files.s3.eu-west-3.amazonaws.com/a/b")
    ENV["AWS_ENDPOINT_URL_S3"] = "https://s3.example.com"
    expect(object).to eq("https://files.s3.example.com/a/b")
  end
end
