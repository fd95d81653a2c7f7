# frozen_string_literal: true

require_relative "../rails_helper"
require_relative "../support/fault_proxy"

# The log of an application that stores and serves files, at the most verbose level.
RSpec.describe "The log of an application", type: :request do
  let(:text) { "the text of a contract that nobody else may read" }

  def secrets
    key = TestStore::KEY
    { "the wrapping key" => key, "its Base64" => [key].pack("m0"), "its hexadecimal form" => key.unpack1("H*"),
      "the store's secret" => TestStore.settings[:secret_access_key], "plaintext" => text,
      "the Base64 of plaintext" => [text].pack("m0"), "the application's secret" => Rails.application.secret_key_base }
  end

  # @return [String] all that is logged and announced meanwhile
  def written(&)
    log = StringIO.new
    loggers = [Rails, ActiveRecord::Base, ActiveStorage, ActionController::Base, EncryptedS3Service]
    before = loggers.map(&:logger)
    logger = ActiveSupport::Logger.new(log, level: Logger::DEBUG)
    loggers.each { |holder| holder.logger = logger if holder.respond_to?(:logger=) }
    seen = ->(name, _start, _finish, _id, payload) { log.puts(name, payload.inspect) }
    ActiveSupport::Notifications.subscribed(seen, /encrypted_s3|active_storage/, &)
    log.string
  ensure
    loggers.zip(before) { |holder, old| holder.logger = old if holder.respond_to?(:logger=) }
  end

  def announce
    post rails_direct_uploads_path, params: { blob: { filename: "contract.txt", content_type: "text/plain",
                                                      byte_size: text.bytesize, checksum: md5(text) } }, as: :json
    response.parsed_body
  end

  def send_file(announced, body)
    put announced["direct_upload"]["url"], params: body, headers: announced["direct_upload"]["headers"]
  end

  def link(blob) = ActiveStorage::Current.set(url_options: { host: "www.example.com" }) { blob.url }

  def spoil(blob)
    headers, body = stored(blob.key)
    restore(blob.key, headers, body.tap { |bytes| bytes.setbyte(0, bytes.getbyte(0) ^ 1) })
  end

  it "contains no key, credential or content of a file, in success and in failure" do
    log = written do
      send_file(announced = announce, text)
      blob = ActiveStorage::Blob.find_signed!(announced["signed_id"])
      get link(blob)
      expect(response.body).to eq(text)
      get link(blob), headers: { "Range" => "bytes=0-9" }
      get rails_storage_proxy_path(blob)
      send_file(announce, text.reverse)
      expect(response.status).to eq(422)
      spoil(blob)
      expect { get link(blob) }.to raise_error(ActiveStorage::IntegrityError)
      expect { blob.download }.to raise_error(ActiveStorage::IntegrityError)
    end
    expect(log).to include("service_upload.active_storage", "Started PUT", "Completed 422")
    expect(secrets.select { |_, secret| log.b.include?(secret.b) }.keys).to eq([])
  end

  it "contains none of it when the store refuses, or cannot be reached" do
    log = written do
      FaultProxy.run(server.endpoint) do |proxy|
        refusal = "<Error><Code>AccessDenied</Code><Message>see s3cret</Message></Error>"
        proxy.fault("PutObject", status: 403, answer: refusal)
        entry = { service: "EncryptedS3", **TestStore.settings(endpoint: proxy.endpoint) }
        service = ActiveStorage::Service.configure(:refusing, refusing: entry)
        expect { service.upload(unique_key, StringIO.new(text)) }.to raise_error(EncryptedS3Service::AccessError) { |e|
          Rails.logger.error(e.full_message)
        }
      end
      gone = new_client(endpoint: "http://127.0.0.1:1", retry_limit: 0)
      expect { gone.upload(unique_key, StringIO.new(text)) }.to raise_error(EncryptedS3Service::TransportError) { |e|
        Rails.logger.error(e.full_message)
      }
    end
    expect({ **secrets, "the store's own words" => "s3cret" }.select { |_, secret| log.b.include?(secret.b) }.keys)
      .to eq([])
  end
end
