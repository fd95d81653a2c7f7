# frozen_string_literal: true

require_relative "../rails_helper"

# Active Storage's contract for every service: the promises that Rails' own tests check for its services.
RSpec.describe ActiveStorage::Service::EncryptedS3Service, "as a service of Active Storage" do
  let(:service) do
    ActiveStorage::Service.configure(:specs, { specs: { service: "EncryptedS3", **TestStore.settings } })
  end
  let(:fixture) { (0..255).to_a.pack("C*") }
  let(:key) { SecureRandom.base58(24) }

  def upload(data = fixture, to: key, **) = service.upload(to, StringIO.new(data), **)

  it "accepts an upload with the right checksum" do
    upload("Something else entirely!", checksum: md5("Something else entirely!"))
    expect(service.download(key)).to eq("Something else entirely!")
  end

  it "refuses an upload with a wrong checksum and stores nothing" do
    expect { upload("Something else entirely!", checksum: md5("bad data")) }
      .to raise_error(ActiveStorage::IntegrityError)
    expect(service.exist?(key)).to be(false)
  end

  it "accepts a file name, as a String, and a content type" do
    upload("text", checksum: md5("text"), filename: "racecar.jpg", content_type: "image/jpeg")
    expect(service.download(key)).to eq("text")
  end

  it "downloads an uploaded file" do
    upload
    expect(service.download(key)).to eq(fixture)
  end

  it "raises FileNotFoundError when the file to download is missing" do
    expect { service.download(key) }.to raise_error(ActiveStorage::FileNotFoundError)
  end

  it "streams in chunks of 5 MiB" do
    upload("#{"a" * 5.megabytes}bcd")
    chunks = []
    service.download(key) { |chunk| chunks << chunk }
    expect(chunks).to eq(["a" * 5.megabytes, "bcd"])
  end

  it "raises FileNotFoundError when the file to stream is missing" do
    expect { service.download(key) { raise "yielded" } }.to raise_error(ActiveStorage::FileNotFoundError)
  end

  it "downloads a part, with inclusive and exclusive ranges" do
    upload
    expect(service.download_chunk(key, 19..21)).to eq("\x13\x14\x15".b)
    expect(service.download_chunk(key, 19...21)).to eq("\x13\x14".b)
  end

  it "raises FileNotFoundError when the file to download a part of is missing" do
    expect { service.download_chunk(key, 8..10) }.to raise_error(ActiveStorage::FileNotFoundError)
  end

  it "says whether a file exists" do
    upload
    expect([service.exist?(key), service.exist?("#{key}nonsense")]).to eq([true, false])
  end

  it "deletes" do
    upload
    service.delete(key)
    expect(service.exist?(key)).to be(false)
  end

  it "ignores a missing file when it deletes" do
    expect { service.delete(key) }.not_to raise_error
  end

  it "deletes only the files with the prefix" do
    names = ["#{key}/a/a", "#{key}/a/b", "#{key}/b/a"]
    names.each { |name| upload(to: name) }
    service.delete_prefixed("#{key}/a/")
    expect(names.map { |name| service.exist?(name) }).to eq([false, false, true])
  end

  it "composes several files into one" do
    names = %w[123 456 789].map { |data| "#{key}/#{data}".tap { |name| upload(data, to: name) } }
    service.compose(names, key, filename: ActiveStorage::Filename.new("digits.txt"), content_type: "text/plain",
                                disposition: :attachment, custom_metadata: { "a" => "b" })
    expect(service.download(key)).to eq("123456789")
  end
end
