# frozen_string_literal: true

require_relative "../rails_helper"
require_relative "../support/puma_server"
require_relative "../support/samples"

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
    change(@blob.key, at)
    @blob
  end

  def change(key, at)
    headers, body = stored(key)
    restore(key, headers, body.tap { |bytes| bytes.setbyte(at, bytes.getbyte(at) ^ 1) })
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

  # The server may read the stream after the error. From Rails 8 on, Rails replaces it by an empty one.
  it "is not complete as a variant, even if all was read before the server sends it" do
    @blob = ActiveStorage::Blob.create_and_upload!(io: StringIO.new(Samples.png(32, 32)), filename: "a.png",
                                                   service_name: "encrypted")
    variant = @blob.representation(resize_to_limit: [8, 8]).processed
    variant.service.upload(variant.key, StringIO.new(data))
    change(variant.key, 12.megabytes)
    path = Rails.application.routes.url_helpers.rails_storage_proxy_url(variant, host: "localhost")
    status, _headers, body = Rails.application.call(Rack::MockRequest.env_for(path))
    expect(status).to eq(200)
    received = +"".b
    expect { body.each { |chunk| received << chunk } }.to raise_error(EOFError)
    expect(received.bytesize).to be_between(1, 12.megabytes)
  ensure
    body&.close
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

  # Rails would keep the server's thread, and the stream's, for ever.
  it "lets go of a client that leaves while the end of the file waits for it" do
    size = ActionController::Live::Buffer.queue_size
    ActionController::Live::Buffer.queue_size = 1
    response = ActionController::Live::Response.new
    response.request = ActionDispatch::Request.new(Rails.application.env_config.dup)
    response.commit!
    stream = response.stream.extend(EncryptedS3Service::Serving::BrokenOff::Stream)
    stream.write("the queue is full")
    writer = Thread.new { stream.close }
    Timeout.timeout(5) { sleep 0.01 until writer.status == "sleep" }
    expect { Timeout.timeout(5) { response.abort } }.not_to raise_error
    expect(writer.join(5)).to eq(writer)
  ensure
    ActionController::Live::Buffer.queue_size = size
    writer&.kill
  end
end
