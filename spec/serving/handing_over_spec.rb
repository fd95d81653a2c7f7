# frozen_string_literal: true

require_relative "../rails_helper"

# However an answer ends, its hold on the file is released.
RSpec.describe "An answer with a file" do
  let(:blob) { store("x" * 3.megabytes, "film.mp4", "video/mp4") }
  let(:opened) { [] }

  before do
    opened_ones = opened
    allow(EncryptedS3Service::ActiveStorageErrors::Reader).to receive(:new).and_wrap_original do |original, native|
      original.call(native).tap { |reader| opened_ones << reader }
    end
  end

  def store(data, filename, content_type)
    ActiveStorage::Blob.create_and_upload!(io: StringIO.new(data), filename: filename, content_type: content_type,
                                           service_name: "encrypted", identify: false)
  end

  def environment(blob = self.blob, **more)
    path = ActiveStorage::Current.set(url_options: { host: "localhost" }) { URI(blob.url).path }
    Rack::MockRequest.env_for(path, **more)
  end

  def call(env = environment) = Rails.application.call(env)

  def closed?(reader)
    reader.read(1)
    false
  rescue EncryptedS3Service::ClosedError
    true
  end

  it "is released when the server closes it without reading it" do
    _, _, body = call
    expect(closed?(opened.first)).to be(false)
    body.close
    expect(opened.map { |reader| closed?(reader) }).to eq([true])
  end

  it "is released when it was read to its end" do
    _, _, body = call
    expect(body.enum_for(:each).sum(&:bytesize)).to eq(3.megabytes)
    expect(closed?(opened.first)).to be(true)
  end

  it "is released at the end of the response, even if a middleware has dropped the body" do
    %w[rack.response_finished rack.after_reply].each do |name|
      env = environment.merge(name => callbacks = [])
      call(env)
      callbacks.each { |callback| name == "rack.after_reply" ? callback.call : callback.call(env, 200, {}, nil) }
    end
    expect(opened.map { |reader| closed?(reader) }).to eq([true, true])
  end

  # The controller, with a callback that an application might have added.
  def call_with_callback(&)
    controller = stub_const("CustomController", Class.new(EncryptedS3Service::BlobsController) { after_action(&) })
    env = environment
    token = env["PATH_INFO"].split("/")[-2]
    controller.action(:show).call(env.merge("action_dispatch.request.path_parameters" => { token: token }))
  end

  it "is released when a callback of the application raises" do
    expect { call_with_callback { raise "after the file" } }.to raise_error("after the file")
    expect(opened.map { |reader| closed?(reader) }).to eq([true])
  end

  it "is released when a callback of the application replaces the response" do
    _, _, body = call_with_callback { self.response_body = "something else" }
    expect(body.enum_for(:each).to_a.join).to eq("something else")
    expect(opened.map { |reader| closed?(reader) }).to eq([true])
  end

  describe "of a large file" do
    around do |example|
      EncryptedS3Service.settings.large_reads_limit = 2
      example.run
    ensure
      EncryptedS3Service.settings.large_reads_limit = nil
    end

    # Requests that wait for the first byte, until the block is over.
    def while_waiting(requests, env)
      gate = Queue.new
      waiting = Queue.new
      allow(EncryptedS3Service::Serving::Body).to receive(:new).and_wrap_original do |original, *arguments|
        waiting << true
        gate.pop
        original.call(*arguments)
      end
      threads = Array.new(requests) { Thread.new { call(env.dup).tap { |_, _, body| body.close }[0] } }
      requests.times { waiting.pop }
      allow(EncryptedS3Service::Serving::Body).to receive(:new).and_call_original
      yield
    ensure
      gate.close
      @statuses = threads.map(&:value)
    end

    it "is answered with 503 if many requests wait for their first byte, and works again afterwards" do
      env = environment(store("x" * 17.megabytes, "large.mp4", "video/mp4"))
      small = environment(blob)
      while_waiting(2, env) do
        status, headers, body = call(env.dup)
        expect([status, headers["retry-after"], headers["cache-control"]]).to eq([503, "5", "no-store"])
        body.close
        expect(call(small).tap { |answer| answer[2].close }[0]).to eq(200)
      end
      expect(@statuses).to eq([200, 200])
      expect(call(env.dup).tap { |answer| answer[2].close }[0]).to eq(200)
      expect(opened.map { |reader| closed?(reader) }).to all(be(true))
    end
  end

  it "does not respond to to_ary, which would hold the whole file in memory" do
    _, _, body = call
    expect(body).not_to respond_to(:to_ary)
    expect(Array(body)).to eq([body])
    body.close
  end

  it "returns an Enumerator for each without a block" do
    reader = ActiveStorage::Blob.services.fetch(:encrypted).reader(blob.key)
    body = EncryptedS3Service::Serving::Body.new(reader, [0..9, "between", 20..29])
    expect(body.each).to be_an(Enumerator)
    expect(body.each.to_a).to eq(["x" * 10, "between", "x" * 10])
  end

  it "holds no database connection while the file is fetched and sent" do
    blob
    pool = ActiveRecord::Base.connection_pool
    held = []
    allow(EncryptedS3Service::ActiveStorageErrors::Reader).to receive(:new).and_wrap_original do |original, native|
      held << pool.active_connection?
      original.call(native)
    end
    env = environment(blob, "HTTP_X_ORGANISATION" => "1")
    Thread.new do
      _, _, body = call(env)
      body.each { held << pool.active_connection? }
      body.close
    end.join
    expect(held.size).to be > 2
    expect(held).to all(be_falsy)
  end
end
