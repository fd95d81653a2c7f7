# frozen_string_literal: true

require_relative "../rails_helper"

# Events for audits: which files were read, and which are still under an old key.
RSpec.describe EncryptedS3Service::DecryptionEvents do
  let(:old_key) { OpenSSL::Digest.digest("SHA256", "the key of last year") }
  let(:key) { unique_key }

  def service(**settings)
    entry = { service: "EncryptedS3", **TestStore.settings(**settings) }
    ActiveStorage::Service.configure(:audited, { audited: entry })
  end

  # The writing key is a new one; the old one reads.
  def rotating = service(decryption_keys: { "2024" => old_key })

  def store(data = "a private text", **settings)
    service(**settings).upload(key, StringIO.new(data))
  end

  # @return [Array<Array(String, Hash)>]
  def events(pattern = /\.encrypted_s3_service\z/, &)
    seen = []
    ActiveSupport::Notifications.subscribed(->(name, *, payload) { seen << [name, payload.dup] }, pattern, &)
    seen
  end

  reads = {
    "as a whole" => [->(service, key) { service.download(key) }, nil],
    "in chunks" => [->(service, key) { service.download(key) { nil } }, nil],
    "in part" => [->(service, key) { service.download_chunk(key, 2...5) }, 2...5],
    "as a file" => [->(service, key) { service.open(key, verify: false) { nil } }, nil],
    "at a reader's own pace" => [->(service, key) { service.reader(key).close }, nil]
  }

  reads.each do |how, (read, range)|
    it "announces a file read #{how} once, with its key, service, size and key id" do
      store
      seen = events { read.call(service, key) }
      expect(seen).to eq([["decrypt.encrypted_s3_service",
                           { key: key, service: :audited, range: range, format: "v2", key_id: TestStore::KEY_ID,
                             current: true, size: 14 }]])
    end

    it "announces that a file is under an old key when it is read #{how}" do
      store(encryption_key: old_key, encryption_key_id: "2024")
      seen = events { read.call(rotating, key) }
      expect(seen.map(&:first)).to eq(%w[decrypt.encrypted_s3_service key_rotation_needed.encrypted_s3_service])
      expect(seen.last.last).to eq(key: key, service: :audited, format: "v2", key_id: "2024")
      expect(seen.first.last).to include(current: false, key_id: "2024")
    end
  end

  it "announces the sources of a composed file" do
    keys = Array.new(2) { |number| unique_key.tap { |key| service.upload(key, StringIO.new("part #{number}")) } }
    seen = events { service.compose(keys, unique_key) }
    expect(seen.map { |name, payload| [name, payload[:key]] }).to eq(keys.map { |key| [described_class::DECRYPT, key] })
  end

  it "announces failed attempts, with the reason" do
    store(encryption_key: old_key, encryption_key_id: "2024")
    seen = events { expect { service.download(key) }.to raise_error(EncryptedS3Service::UnwrapError) }
    expect(seen.sole.last).to include(key: key, exception: ["EncryptedS3Service::UnwrapError", /"2024"/])
    missing = events { expect { service.download("missing") }.to raise_error(ActiveStorage::FileNotFoundError) }
    expect(missing.sole.last).to include(key: "missing")
  end

  it "announces files that are fetched by links" do
    blob = ActiveStorage::Blob.create_and_upload!(io: StringIO.new("a text"), filename: "a.txt", identify: false)
    session = ActionDispatch::Integration::Session.new(Rails.application)
    path = ActiveStorage::Current.set(url_options: { host: "www.example.com" }) { URI(blob.url).path }
    seen = events { session.get(path) }
    expect(seen.sole.last).to include(key: blob.key, service: :encrypted, size: 6)
  end

  it "neither announces nor logs content or keys" do
    store(encryption_key: old_key, encryption_key_id: "2024")
    log = StringIO.new
    logger = ActiveSupport::LogSubscriber.logger
    ActiveSupport::LogSubscriber.logger = ActiveSupport::Logger.new(log)
    seen = events { rotating.download(key) }
    expect(log.string).to include("Decrypted \"#{key}\" of audited", "bytes 14", "key 2024",
                                  "wrapped by the old key \"2024\"")
    [seen.inspect.b, log.string.b].each do |text|
      expect(text).not_to include("private text")
      expect(text).not_to include(old_key)
      expect(text).not_to include(TestStore::KEY)
    end
  ensure
    ActiveSupport::LogSubscriber.logger = logger
  end
end
