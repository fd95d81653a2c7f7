# frozen_string_literal: true

require_relative "../rails_helper"
require_relative "../support/puma_server"

# Status and headers are sent with the first bytes. If the rest cannot be read, the client must see that it is missing.
RSpec.describe "A file that was changed in the bucket, behind the bytes that were sent already" do
  # The server has its own connection to the database.
  self.use_transactional_tests = false

  after { @blob&.purge }

  let(:data) { random_bytes(20.megabytes + 100) }

  # @param at [Integer] position of the changed byte
  def changed_file(at)
    @blob = ActiveStorage::Blob.create_and_upload!(io: StringIO.new(data), filename: "a.bin", identify: false,
                                                   service_name: "encrypted")
    headers, body = stored(@blob.key)
    restore(@blob.key, headers, body.tap { |bytes| bytes.setbyte(at, bytes.getbyte(at) ^ 1) })
    @blob
  end

  def path_of(blob, route)
    return Rails.application.routes.url_helpers.rails_storage_proxy_path(blob, only_path: true) if route == :proxy

    ActiveStorage::Current.set(url_options: { host: "127.0.0.1" }) { URI(blob.url).path }
  end

  # @return [Array(String, Class)] the received bytes, and the class of the error, nil for a complete response
  def answer_to(puma, path, headers)
    received = +"".b
    puma.connect do |http|
      http.ignore_eof = false
      http.max_retries = 0
      http.request_get(path, headers) { |response| response.read_body { |chunk| received << chunk } }
    end
    [received, nil]
  rescue EOFError, Net::ReadTimeout => e
    [received, e.class]
  end

  { "in the middle" => 12.megabytes, "in its last bytes" => 20.megabytes + 50 }.each do |where, at|
    it "is not complete at any link, whole or as a part, if it was changed #{where}" do
      blob = changed_file(at)
      PumaServer.run(threads: 2) do |puma|
        requests = [{}, { "Range" => "bytes=0-" }, { "Accept" => "text/html" }]
        [path_of(blob, :link), path_of(blob, :proxy)].product(requests) do |path, headers|
          received, error = answer_to(puma, path, headers)
          expect(error).to eq(EOFError), "#{path} #{headers}: #{error.inspect}"
          expect(received.bytesize).to be_between(1, at)
          expect(received).to be_bytes(data.byteslice(0, received.bytesize))
        end
      end
    end
  end

  it "is logged and reported by the server" do
    reported = []
    subscriber = Class.new { define_method(:report) { |error, **| reported << error } }.new
    Rails.error.subscribe(subscriber)
    blob = changed_file(12.megabytes)
    body = EncryptedS3Service::Serving::Body.new(blob.service.reader(blob.key), [0..(data.bytesize - 1)])
    allow(Rails.logger).to receive(:error)
    expect { body.each.to_a }.to raise_error(EOFError, /broken off.*#{blob.key}/)
    expect(reported).to contain_exactly(ActiveStorage::IntegrityError)
    expect(Rails.logger).to have_received(:error).with(/broken off.*#{blob.key}/).once
  ensure
    Rails.error.unsubscribe(subscriber)
  end
end
